//! A simple way to run a function as WebAssembly, to test ops apart from regions: all temps are
//! locals, basic blocks are the arms of one switch in a loop, and globals go to memory wherever
//! somebody might look.

use std::collections::HashMap;

use super::*;
use tcg::builder::Function;
use tcg::cpu_state::SLOTS;
use tcg::wasm32::body::{Body, CPU, Frame, Local};
use tcg::wasm32::groups::{Groups, Member};
use tcg::wasm32::imports::{self, Imports};
use tcg::wasm32::ops::{self, Context, FaultExit, Locals, condition, value_type};
use tcg::wasm32::{Leave, Options};
use wasm_encoder::{
    BlockType, BranchHint, BranchHints, CodeSection, EntityType, ExportKind, ExportSection,
    FunctionSection, ImportSection, MemArg, MemArgTarget, MemoryType, Module, TypeSection, ValType,
};

/// A local for each temp.
pub struct Plain<'a> {
    function: &'a Function,
    temps: HashMap<Temp, Local>,
    scratch: HashMap<(ValType, usize), Local>,
}

impl<'a> Plain<'a> {
    pub fn new(function: &'a Function) -> Self {
        Self {
            function,
            temps: HashMap::new(),
            scratch: HashMap::new(),
        }
    }
}

impl Locals for Plain<'_> {
    fn local(&mut self, body: &mut Body, temp: Temp) -> Local {
        let info = self.function.temps[usize::from(temp.0)];
        assert!(
            !matches!(info.kind, TempKind::Const(_)),
            "constants have no local"
        );
        let ty = value_type(info.ty);
        *self.temps.entry(temp).or_insert_with(|| body.new_local(ty))
    }

    fn scratch32(&mut self, body: &mut Body, index: usize) -> Local {
        let key = (ValType::I32, index);
        let local = || body.new_local(ValType::I32);
        *self.scratch.entry(key).or_insert_with(local)
    }

    fn scratch64(&mut self, body: &mut Body, index: usize) -> Local {
        let key = (ValType::I64, index);
        let local = || body.new_local(ValType::I64);
        *self.scratch.entry(key).or_insert_with(local)
    }
}

/// A module with one function, exported as 0, and hints about its branches.
pub fn assemble(functions: &Imports, (body, hints): (Vec<u8>, Vec<BranchHint>)) -> Vec<u8> {
    let mut types = TypeSection::new();
    for nargs in 0..=imports::ARGUMENTS_MAX {
        let mut params = vec![ValType::I32];
        params.resize(1 + nargs, ValType::I64);
        types.ty().function(params, [ValType::I64]);
    }
    types
        .ty()
        .function([ValType::I32, ValType::I32], [ValType::I32]);
    let mut section = ImportSection::new();
    let memory = MemoryType {
        minimum: 1,
        maximum: Some(65536),
        memory64: false,
        shared: true,
        page_size_log2: None,
    };
    section.import(imports::MODULE, imports::MEMORY, EntityType::Memory(memory));
    for (pointer, nargs) in functions.functions() {
        let ty = EntityType::Function(u32::from(*nargs));
        section.import(imports::MODULE, &pointer.to_string(), ty);
    }
    let mut declared = FunctionSection::new();
    declared.function(imports::FUNCTION_TYPE);
    let mut exports = ExportSection::new();
    let index = functions.functions().len() as u32;
    exports.export("0", ExportKind::Func, index);
    let mut code = CodeSection::new();
    code.raw(&body);
    let mut module = Module::new();
    module.section(&types).section(&section);
    let mut all = BranchHints::new();
    all.function_hints(index, hints);
    module
        .section(&declared)
        .section(&exports)
        .section(&all)
        .section(&code);
    module.finish()
}

/// What is the same for all of a function's code.
struct Code<'a> {
    body: Body,
    locals: Plain<'a>,
    imports: Imports,
    options: &'a Options<'a>,
    function: &'a Function,
    fault: FaultExit,
    /// Where faults of calls go: memory has the globals.
    raised: Frame,
    /// The basic block to go on with, and the loop that switches to it.
    next: Local,
    switch: Frame,
    /// Index of the basic block of each label.
    labels: HashMap<Label, u32>,
    tb: u32,
    /// That of the op at hand.
    member: Option<Member>,
}

/// The whole function; `tb` is the address of its header.
pub fn compile(function: &Function, tb: u32, options: &Options<'_>) -> (Vec<u8>, Vec<usize>) {
    let mut body = Body::default();
    let mut locals = Plain::new(function);
    let [next, leave, insn] = [(); 3].map(|()| body.new_local(ValType::I32));
    copy_globals(&mut body, &mut locals, false);
    let raised = body.open_block(BlockType::Empty);
    let frame = body.open_block(BlockType::Empty);
    let switch = body.open_loop(BlockType::Empty);
    let starts = (0..function.ops.len()).filter(|&at| starts_block(function, at));
    let labels = starts
        .zip(0..)
        .filter_map(|(at, index)| match function.ops[at].kind {
            OpKind::SetLabel { label } => Some((label, index)),
            _ => None,
        });
    let mut code = Code {
        body,
        locals,
        imports: Imports::default(),
        options,
        function,
        fault: FaultExit {
            frame,
            leave,
            insn,
            leave_value: tb | Leave::Exception as u32,
            insn_index: 0,
        },
        raised,
        next,
        switch,
        labels: labels.collect(),
        tb,
        member: None,
    };
    code.blocks();
    code.end();
    let functions = code.imports.functions().iter().map(|f| f.0).collect();
    (
        assemble(&code.imports, code.body.finish_with_hints()),
        functions,
    )
}

fn starts_block(function: &Function, at: usize) -> bool {
    at == 0 || matches!(function.ops[at].kind, OpKind::SetLabel { .. })
}

fn memory(offset: usize) -> MemArg {
    MemArg {
        offset: offset as u64,
        align: 0,
        target: MemArgTarget::Memory(0),
        ordering: None,
    }
}

/// Stores the globals, or loads them.
pub fn copy_globals(body: &mut Body, locals: &mut Plain<'_>, store: bool) {
    for (index, info) in locals.function.temps.iter().enumerate() {
        let TempKind::Global { slot } = info.kind else {
            continue;
        };
        let local = locals.local(body, Temp(index as u16));
        let at = memory(std::mem::offset_of!(CpuState, slots) + 8 * usize::from(slot));
        assert!(usize::from(slot) < SLOTS);
        body.get(CPU);
        match (store, info.ty) {
            (true, Type::I64) => body.sink().local_get(local.0).i64_store(at),
            (true, Type::I32) => body.sink().local_get(local.0).i32_store(at),
            (false, Type::I64) => body.sink().i64_load(at).local_set(local.0),
            (false, Type::I32) => body.sink().i32_load(at).local_set(local.0),
        };
    }
}

impl Code<'_> {
    fn blocks(&mut self) {
        let function = self.function;
        let starts = (0..function.ops.len()).filter(|&at| starts_block(function, at));
        let mut frames: Vec<Frame> = starts
            .map(|_| self.body.open_block(BlockType::Empty))
            .collect();
        frames.reverse();
        self.body.get(self.next);
        self.body.br_table(&frames, frames[0]);
        let mut insns = 0;
        let groups = Groups::of(function, self.options.helpers);
        for (at, op) in function.ops.iter().enumerate() {
            if starts_block(function, at) {
                self.body.close();
            }
            if let OpKind::InsnStart { .. } = op.kind {
                self.fault.insn_index = insns;
                insns += 1;
            }
            self.member = groups.member(at);
            self.op(op);
        }
        self.body.sink().unreachable();
        self.body.close();
    }

    /// Faults come here.
    fn end(&mut self) {
        self.body.close();
        copy_globals(&mut self.body, &mut self.locals, true);
        self.body.close();
        let at = memory(std::mem::offset_of!(CpuState, fault_insn));
        self.body.get(CPU);
        self.body.get(self.fault.insn);
        self.body.sink().i32_store(at);
        self.body.get(self.fault.leave);
    }

    fn context(&mut self) -> Context<'_> {
        Context {
            body: &mut self.body,
            locals: &mut self.locals,
            imports: &mut self.imports,
            options: self.options,
            function: self.function,
            fault: self.fault,
            member: self.member,
        }
    }

    fn go_to(&mut self, label: Label) {
        self.body.i32_const(self.labels[&label]);
        self.body.set(self.next);
        self.body.br(self.switch);
    }

    fn leave(&mut self, value: u32) {
        copy_globals(&mut self.body, &mut self.locals, true);
        self.body.i32_const(value);
        self.body.sink().return_();
    }

    fn op(&mut self, op: &Op) {
        let raised = self.raised;
        match op.kind {
            OpKind::SetLabel { .. } | OpKind::InsnStart { .. } => {}
            OpKind::Br { label } => self.go_to(label),
            OpKind::Brcond { a, b, cond, label } => {
                condition(&mut self.context(), op.ty, cond, a, b);
                self.body.open_if(BlockType::Empty);
                self.go_to(label);
                self.body.close();
            }
            OpKind::GotoTb { slot } => self.goto_tb(slot),
            OpKind::GotoPtr {} => self.leave(Leave::Lookup as u32),
            OpKind::ExitTb { exit } => self.leave(match exit {
                TbExit::Main => Leave::Main as u32,
                TbExit::Slot(0) => self.tb | Leave::Slot0 as u32,
                TbExit::Slot(_) => self.tb | Leave::Slot1 as u32,
                TbExit::Exception => self.tb | Leave::Exception as u32,
            }),
            OpKind::Call { .. } | OpKind::Ld { .. } | OpKind::St { .. } => {
                copy_globals(&mut self.body, &mut self.locals, true);
                let mut context = self.context();
                context.fault.frame = raised;
                ops::emit(&mut context, op);
                self.reload(op);
            }
            _ => ops::emit(&mut self.context(), op),
        }
    }

    /// Loads the globals but the one that the op gave a value.
    fn reload(&mut self, op: &Op) {
        let mut outputs = Vec::new();
        let mut kind = op.kind;
        kind.outputs(|t| outputs.push(*t));
        for output in outputs {
            let info = self.function.temps[usize::from(output.0)];
            if let TempKind::Global { slot } = info.kind {
                let local = self.locals.local(&mut self.body, output);
                let at = memory(std::mem::offset_of!(CpuState, slots) + 8 * usize::from(slot));
                self.body.get(CPU);
                match info.ty {
                    Type::I64 => self.body.sink().local_get(local.0).i64_store(at),
                    Type::I32 => self.body.sink().local_get(local.0).i32_store(at),
                };
            }
        }
        copy_globals(&mut self.body, &mut self.locals, false);
    }

    /// Leaves for the block that the exit is linked to.
    fn goto_tb(&mut self, slot: u8) {
        let field = std::mem::offset_of!(TbHeader, jmp_target) + 4 * usize::from(slot & 1);
        self.body.i32_const(self.tb);
        self.body.sink().i32_load(memory(field));
        self.body.open_if(BlockType::Empty);
        copy_globals(&mut self.body, &mut self.locals, true);
        self.body.i32_const(self.tb);
        self.body.sink().i32_load(memory(field)).return_();
        self.body.close();
    }
}
