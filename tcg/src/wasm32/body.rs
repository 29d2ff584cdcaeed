//! The body of a generated function: instructions, locals and the nesting of its blocks.

use wasm_encoder::{BlockType, BranchHint, Encode, Instruction, InstructionSink, ValType};

/// A local of the function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Local(pub u32);

/// A block that `br` may leave (or a loop that it may start again), by its nesting depth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame(u32);

impl Frame {
    /// The function itself.
    pub const FUNCTION: Self = Self(0);
}

/// The parameters of every generated function: the address of the `CpuState`...
pub const CPU: Local = Local(0);
/// ... and of the header of the block to start with.
pub const TB: Local = Local(1);
const PARAMETERS: u32 = 2;

/// See the module's text.
#[derive(Default)]
pub struct Body {
    bytes: Vec<u8>,
    /// Types of the locals behind the parameters.
    locals: Vec<ValType>,
    scratch: Vec<(ValType, usize, Local)>,
    depth: u32,
    /// Offsets of `if`s that almost always, or almost never, take the first arm.
    hints: Vec<BranchHint>,
}

impl Body {
    /// Where instructions go. Blocks are opened and closed by [`Body::open`] and [`Body::close`]
    /// alone, so that the nesting is known.
    pub fn sink(&mut self) -> InstructionSink<'_> {
        InstructionSink::new(&mut self.bytes)
    }

    /// An instruction as a value; none that opens or closes a block.
    pub fn put(&mut self, instruction: Instruction<'_>) {
        instruction.encode(&mut self.bytes);
    }

    /// A new local, 0 at first.
    pub fn new_local(&mut self, ty: ValType) -> Local {
        self.locals.push(ty);
        Local(PARAMETERS + self.locals.len() as u32 - 1)
    }

    /// A local for a moment: number `index` of those of its type that the code of one op may use.
    pub fn scratch(&mut self, ty: ValType, index: usize) -> Local {
        let known = |s: &&(ValType, usize, Local)| s.0 == ty && s.1 == index;
        if let Some(&(_, _, local)) = self.scratch.iter().find(known) {
            return local;
        }
        let local = self.new_local(ty);
        self.scratch.push((ty, index, local));
        local
    }

    pub fn get(&mut self, local: Local) {
        self.sink().local_get(local.0);
    }

    pub fn set(&mut self, local: Local) {
        self.sink().local_set(local.0);
    }

    pub fn tee(&mut self, local: Local) {
        self.sink().local_tee(local.0);
    }

    pub fn i32_const(&mut self, value: u32) {
        self.sink().i32_const(value as i32);
    }

    pub fn i64_const(&mut self, value: u64) {
        self.sink().i64_const(value as i64);
    }

    /// `block`: a `br` to it goes on behind its end.
    pub fn open_block(&mut self, ty: BlockType) -> Frame {
        self.sink().block(ty);
        self.opened()
    }

    /// `loop`: a `br` to it goes on at its start.
    pub fn open_loop(&mut self, ty: BlockType) -> Frame {
        self.sink().loop_(ty);
        self.opened()
    }

    /// `if`: takes a condition from the stack.
    pub fn open_if(&mut self, ty: BlockType) -> Frame {
        self.sink().if_(ty);
        self.opened()
    }

    /// An `if` whose condition almost always has the value `likely`. It pays where the other arm
    /// calls: an engine that knows it to be cold keeps the locals in registers around it.
    pub fn open_hinted_if(&mut self, ty: BlockType, likely: bool) -> Frame {
        self.hint(likely);
        self.open_if(ty)
    }

    /// About the instruction that comes next.
    fn hint(&mut self, likely: bool) {
        self.hints.push(BranchHint {
            branch_func_offset: self.bytes.len() as u32,
            branch_hint_value: likely.into(),
        });
    }

    /// The other arm of the innermost block, which is an `if`.
    pub fn else_arm(&mut self) {
        self.sink().else_();
    }

    /// Ends the innermost block.
    pub fn close(&mut self) {
        self.depth -= 1;
        self.sink().end();
    }

    pub fn br(&mut self, to: Frame) {
        let depth = self.relative(to);
        self.sink().br(depth);
    }

    pub fn br_if(&mut self, to: Frame) {
        let depth = self.relative(to);
        self.sink().br_if(depth);
    }

    /// A `br_if` that is almost never taken.
    pub fn br_if_unlikely(&mut self, to: Frame) {
        self.hint(false);
        self.br_if(to);
    }

    pub fn br_table(&mut self, to: &[Frame], default: Frame) {
        let to: Vec<u32> = to.iter().map(|&frame| self.relative(frame)).collect();
        let default = self.relative(default);
        self.sink().br_table(to, default);
    }

    /// Bytes of instructions so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The finished body, as the code section has it.
    pub fn finish(self) -> Vec<u8> {
        self.finish_with_hints().0
    }

    /// The same, with the hints about its branches for the section of hints.
    pub fn finish_with_hints(mut self) -> (Vec<u8>, Vec<BranchHint>) {
        assert_eq!(self.depth, 0, "all blocks are closed");
        self.sink().end();
        let mut runs: Vec<(u32, ValType)> = Vec::new();
        for &ty in &self.locals {
            match runs.last_mut() {
                Some((count, of)) if *of == ty => *count += 1,
                _ => runs.push((1, ty)),
            }
        }
        let mut function = wasm_encoder::Function::new(runs);
        // Hints count from the declaration of the locals.
        for hint in &mut self.hints {
            hint.branch_func_offset += function.byte_len() as u32;
        }
        function.raw(self.bytes);
        (function.into_raw_body(), self.hints)
    }

    fn opened(&mut self) -> Frame {
        self.depth += 1;
        Frame(self.depth)
    }

    fn relative(&self, to: Frame) -> u32 {
        self.depth - to.0
    }
}
