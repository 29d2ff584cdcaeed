//! Instruction selection: from IR ops to interpreter instructions, with fusion.
//!
//! One forward pass. An op becomes an instruction at once; a later op that can do its work too
//! (address plus displacement, sign extension of a sum, a move to a global) takes it over and
//! marks it dead. What makes that right is kept in [`RegInfo`]: nobody else reads the value, and
//! the inputs still have the values that they had.

use super::bytecode::Opcode;
use super::low::{LowOp, Outputs, Reg, RegInfo};
use crate::CompileError;
use crate::builder::{Function, NO_TEMP};
use crate::compile::CompileOptions;
use crate::cpu_state::SLOT_DISCARD;
use crate::ir::{HelperInfo, Label, Op, OpFlags, OpKind, Temp, TempKind, Type};

/// Working memory, kept from block to block, and its result.
#[derive(Default)]
pub struct Selection {
    pub low: Vec<LowOp>,
    pub regs: Vec<RegInfo>,
    /// For each label, the number of the instruction that it stands in front of.
    pub labels: Vec<u32>,
    /// `(instruction number, pc, extra)`.
    pub insns: Vec<(u32, u64, u64)>,
    /// Registers that hold a constant: value, register, its `last_def` then.
    constants: Vec<(u64, Reg, u32)>,
    label_uses: Vec<u16>,
    label_ops: Vec<u32>,
}

/// The pass over one function.
pub(super) struct Selector<'a> {
    pub function: &'a Function,
    pub helpers: &'a [HelperInfo],
    pub options: &'a CompileOptions,
    pub s: &'a mut Selection,
    /// Instructions before this number are in another basic block: not to be looked at.
    pub block_start: u32,
    /// Last instruction (plus 1) that lets others see all globals.
    pub observed: u32,
    /// Number of the op in the function.
    pub at: usize,
    /// The next op was done already.
    pub skip: bool,
    /// A `goto_tb` to leave out: the op's number.
    pub dropped: Option<usize>,
}

impl Selection {
    /// Fills `low`, `labels`, `insns`.
    pub fn select(
        &mut self,
        function: &Function,
        helpers: &[HelperInfo],
        options: &CompileOptions,
    ) -> Result<(), CompileError> {
        self.prepare(function)?;
        let mut selector = Selector {
            function,
            helpers,
            options,
            s: self,
            block_start: 0,
            observed: 0,
            at: 0,
            skip: false,
            dropped: None,
        };
        selector.run();
        if self.regs.len() >= Reg::COUNT_MAX {
            return Err(CompileError::TooManyTemps);
        }
        Ok(())
    }

    fn prepare(&mut self, function: &Function) -> Result<(), CompileError> {
        if function.temps.len() >= Reg::COUNT_MAX {
            return Err(CompileError::TooManyTemps);
        }
        self.low.clear();
        self.insns.clear();
        self.constants.clear();
        self.regs.clear();
        self.regs.extend(function.temps.iter().map(|t| {
            let global = matches!(t.kind, TempKind::Global { .. });
            RegInfo {
                global,
                global_i32: global && t.ty == Type::I32,
                ..RegInfo::default()
            }
        }));
        let labels = usize::from(function.labels);
        self.labels.clear();
        self.labels.resize(labels, 0);
        self.label_uses.clear();
        self.label_uses.resize(labels, 0);
        self.label_ops.clear();
        self.label_ops.resize(labels, 0);
        for (at, op) in (0..).zip(&function.ops) {
            self.count(at, *op);
        }
        for reg in &mut self.regs {
            reg.single_def = !reg.global && reg.last_def == 1;
            reg.last_def = 0;
        }
        Ok(())
    }

    fn count(&mut self, at: u32, mut op: Op) {
        op.kind
            .inputs(|t| self.regs[usize::from(t.0)].uses_left += 1);
        op.kind
            .outputs(|t| self.regs[usize::from(t.0)].last_def += 1);
        match op.kind {
            OpKind::Br { label } | OpKind::Brcond { label, .. } => {
                self.label_uses[usize::from(label.0)] += 1;
            }
            OpKind::SetLabel { label } => self.label_ops[usize::from(label.0)] = at,
            _ => {}
        }
    }
}

impl Selector<'_> {
    fn run(&mut self) {
        if let Some(icount) = self.options.icount {
            let op = LowOp::new(Opcode::Budget, Reg::NONE, Reg::NONE, Reg::NONE);
            self.push(op.imm(icount as i32), Outputs::None);
        }
        let function = self.function;
        for (at, op) in function.ops.iter().enumerate() {
            self.at = at;
            if std::mem::take(&mut self.skip) || self.dropped == Some(at) {
                continue;
            }
            op.visit(self);
            let flags = op.kind.flags();
            if self.observes(op, flags) {
                self.observed = self.s.low.len() as u32;
            }
        }
    }

    fn observes(&self, op: &Op, flags: OpFlags) -> bool {
        let always = OpFlags::MAY_FAULT
            .with(OpFlags::READS_ALL)
            .with(OpFlags::COND_BRANCH);
        match op.kind {
            OpKind::Call { .. } | OpKind::Br { .. } | OpKind::GotoTb { .. } => true,
            _ => flags.has(always),
        }
    }

    /// Appends an instruction and keeps book. I32 globals get their high half cleared.
    pub fn push(&mut self, op: LowOp, outputs: Outputs) {
        let sext32 = self.is_sext32(&op);
        self.s.low.push(op);
        let number = self.s.low.len() as u32;
        for index in self.inputs(&op, outputs) {
            self.s.regs[index].last_use = number;
        }
        let outs: &[Reg] = match outputs {
            Outputs::None => &[],
            Outputs::One => &[op.d],
            Outputs::Two => &[op.d, op.c[0]],
        };
        for &reg in outs {
            let Some(index) = reg.index() else { continue };
            let info = &mut self.s.regs[index];
            info.last_def = number;
            info.sext32 = sext32;
        }
        for &reg in outs {
            let wide = |i: usize| self.s.regs[i].global_i32 && op.op != Opcode::ExtU;
            if reg.index().is_some_and(wide) {
                self.push(LowOp::new(Opcode::ExtU, reg, reg, Reg::NONE), Outputs::One);
            }
        }
    }

    fn inputs(&self, op: &LowOp, outputs: Outputs) -> impl Iterator<Item = usize> + use<> {
        let mut regs = [
            op.d, op.a, op.b, op.c[0], op.c[1], op.c[2], op.c[3], op.c[4],
        ];
        if outputs != Outputs::None {
            regs[0] = Reg::NONE;
        }
        if outputs == Outputs::Two {
            regs[3] = Reg::NONE;
        }
        regs.into_iter().filter_map(Reg::index)
    }

    /// Whether the value in `reg` is the sign extension of its low half.
    pub fn reg_is_sext32(&self, reg: Reg) -> bool {
        let known =
            |info: &RegInfo| info.sext32 && (info.single_def || info.last_def > self.block_start);
        reg == Reg::ZERO || reg.index().is_some_and(|i| known(&self.s.regs[i]))
    }

    fn is_sext32(&self, op: &LowOp) -> bool {
        use Opcode::*;
        let a = || self.reg_is_sext32(op.a);
        match op.op {
            AddW | SubW | MulW | MulUHW | MulSHW | MulSUHW | DivSW | DivUW | RemSW | RemUW
            | ShlW | ShrW | SarW | RotLW | RotRW | ClzW | CtzW | AddIW | ShlIW | ShrIW | SarIW
            | RotLIW | CtpopW | Bswap16 | MovI | QLdU8 | QLdS8 | QLdU16 | QLdS16 | QLdS32
            | LdU8 | LdS8 | LdU16 | LdS16 | LdS32 | Add2W | Sub2W | MulU2W | MulS2W => true,
            And | Or | Xor | AndC | OrC | Eqv => a() && self.reg_is_sext32(op.b),
            AndI => op.imm >= 0 || a(),
            OrI | XorI | Mov => a(),
            SetEqI | SetNeI | SetLtI | SetGeI | SetLtUI | SetGeUI => true,
            Extract => op.imm >> 8 & 63 > 32,
            SExtract => op.imm >> 8 & 63 >= 32,
            SarI => op.imm & 63 >= 32,
            ShrI => op.imm & 63 > 32,
            other => is_compare(other),
        }
    }

    /// The register of an input. Looks through moves; puts constants into registers.
    pub fn input(&mut self, temp: Temp) -> Reg {
        let index = usize::from(temp.0);
        if let TempKind::Const(_) = self.function.temps[index].kind {
            return self.constant(self.const_value(temp).unwrap_or(0));
        }
        let mut reg = Reg::new(index);
        while let Some((number, op)) = self.foldable(reg) {
            if op.op != Opcode::Mov {
                break;
            }
            self.fold(reg, number);
            // Our use of the source is one that the IR does not have.
            if let Some(source) = op.a.index() {
                self.s.regs[source].uses_left += 1;
            }
            reg = op.a;
        }
        self.used(reg);
        reg
    }

    fn used(&mut self, reg: Reg) {
        if let Some(index) = reg.index() {
            let left = &mut self.s.regs[index].uses_left;
            *left = left.saturating_sub(1);
        }
    }

    /// The value of a constant operand, as slots hold it: I32 ones are sign-extended.
    pub fn const_value(&self, temp: Temp) -> Option<u64> {
        let info = self.function.temps.get(usize::from(temp.0))?;
        match (info.kind, info.ty) {
            (TempKind::Const(value), Type::I32) => Some(value as i32 as u64),
            (TempKind::Const(value), Type::I64) => Some(value),
            _ => None,
        }
    }

    /// The value of a constant operand if it fits an immediate.
    pub fn const_imm(&self, temp: Temp) -> Option<i32> {
        i32::try_from(self.const_value(temp)? as i64).ok()
    }

    /// A register that holds `value`.
    pub fn constant(&mut self, value: u64) -> Reg {
        if value == 0 {
            return Reg::ZERO;
        }
        if let Some((_, reg)) = self.known_constant(|held| held == value) {
            return reg;
        }
        let reg = self.scratch();
        self.load_constant(reg, value);
        reg
    }

    /// A register that holds a constant that pleases `test`.
    pub fn known_constant(&self, test: impl Fn(u64) -> bool) -> Option<(u64, Reg)> {
        let current = |&&(value, reg, def): &&(u64, Reg, u32)| {
            test(value) && reg.index().is_some_and(|i| self.s.regs[i].last_def == def)
        };
        self.s
            .constants
            .iter()
            .rev()
            .find(current)
            .map(|&(value, reg, _)| (value, reg))
    }

    /// Puts a constant into `reg`.
    pub fn load_constant(&mut self, reg: Reg, value: u64) {
        let op = match i32::try_from(value as i64) {
            Ok(imm) => LowOp::new(Opcode::MovI, reg, Reg::NONE, Reg::NONE).imm(imm),
            Err(_) => LowOp::new(Opcode::MovI64, reg, Reg::NONE, Reg::NONE).second(value),
        };
        self.push(op, Outputs::One);
        if let Some(index) = reg.index() {
            let info = self.s.regs[index];
            if !info.global_i32 {
                self.s.constants.push((value, reg, info.last_def));
            }
        }
    }

    /// One more register.
    pub fn scratch(&mut self) -> Reg {
        let index = self.s.regs.len().min(Reg::COUNT_MAX - 1);
        self.s.regs.push(RegInfo::default());
        Reg::new(index)
    }

    /// The register of an output.
    pub fn output(&self, temp: Temp) -> Reg {
        if temp == NO_TEMP {
            Reg::raw(SLOT_DISCARD)
        } else {
            Reg::new(usize::from(temp.0))
        }
    }

    /// The instruction that made the value in the local `reg`, if a use may do its work instead:
    /// it is in this basic block, and its inputs have not changed.
    pub fn foldable(&self, reg: Reg) -> Option<(usize, LowOp)> {
        let info = self.s.regs.get(reg.index()?)?;
        if !info.single_def || info.last_def <= self.block_start {
            return None;
        }
        self.unchanged(info.last_def, reg, None)
    }

    /// The same for a register that the consumer overwrites, whatever it is: nobody else looks at
    /// the value in between.
    pub fn foldable_into(&self, reg: Reg, d: Temp) -> Option<(usize, LowOp)> {
        let index = reg.index()?;
        let info = self.s.regs[index];
        let def = info.last_def;
        let hidden = def > self.block_start && info.last_use <= def && self.observed < def;
        if usize::from(d.0) == index && hidden && !info.global_i32 {
            return self.unchanged(def, reg, Some(reg));
        }
        self.foldable(reg)
    }

    /// Instruction number `def - 1`, if it made `reg` and all its inputs but `except` are as they
    /// were then.
    fn unchanged(&self, def: u32, reg: Reg, except: Option<Reg>) -> Option<(usize, LowOp)> {
        let number = def.checked_sub(1)? as usize;
        let op = *self.s.low.get(number)?;
        let same = |r: Reg| match r.index() {
            Some(i) if Some(r) != except && r != op.d => self.s.regs[i].last_def < def,
            _ => true,
        };
        let inputs_same = same(op.a) && same(op.b) && op.c.into_iter().all(same);
        (!op.dead && op.d == reg && inputs_same).then_some((number, op))
    }

    /// A use of `reg` was folded: the instruction that made it is dead when that was the last, or
    /// when (for globals and the like, see [`Self::foldable_into`]) it is overwritten.
    pub fn fold(&mut self, reg: Reg, number: usize) {
        let Some(index) = reg.index() else { return };
        let info = &mut self.s.regs[index];
        info.uses_left = info.uses_left.saturating_sub(1);
        let def = number as u32 + 1;
        if !info.single_def || (info.uses_left == 0 && info.last_use < def) {
            self.s.low[number].dead = true;
        }
    }

    /// A move: makes the instruction that computes the source write to the destination, if it can.
    pub fn mov(&mut self, d: Temp, a: Temp) {
        if let Some(value) = self.const_value(a) {
            return self.load_constant(self.output(d), value);
        }
        let reg = self.output(d);
        if !self.retarget(reg, a) {
            let source = self.input(a);
            let op = if self.writes_i32_global(reg) {
                Opcode::ExtU
            } else {
                Opcode::Mov
            };
            self.push(LowOp::new(op, reg, source, Reg::NONE), Outputs::One);
        }
    }

    pub fn writes_i32_global(&self, reg: Reg) -> bool {
        reg.index().is_some_and(|i| self.s.regs[i].global_i32)
    }

    fn retarget(&mut self, d: Reg, a: Temp) -> bool {
        let (Some(to), from) = (d.index(), usize::from(a.0)) else {
            return false;
        };
        let (info, dest) = (self.s.regs[from], self.s.regs[to]);
        let def = info.last_def;
        let sole = info.single_def && info.uses_left == 1 && info.last_use == 0;
        let free = dest.last_def < def && dest.last_use <= def && !dest.global_i32;
        if !sole || !free || def <= self.block_start || self.observed > def {
            return false;
        }
        let op = &mut self.s.low[def as usize - 1];
        let source = Reg::new(from);
        match (op.d == source, op.c[0] == source) {
            (true, false) => op.d = d,
            (false, true) => op.c[0] = d,
            _ => return false,
        }
        let dest = &mut self.s.regs[to];
        (dest.last_def, dest.sext32) = (def, info.sext32);
        self.s.regs[from].uses_left = 0;
        true
    }

    /// A new basic block starts here.
    pub fn start_block(&mut self, label: Label) {
        let here = self.s.low.len() as u32;
        self.s.labels[usize::from(label.0)] = here;
        self.block_start = here;
        self.observed = here;
        self.s.constants.clear();
    }

    /// For a `brcond` to `label` at the end of a block: the exit taken when it branches, and the op
    /// that would take it, if both sides start with a `goto_tb` and nobody else comes to the label.
    pub fn chained_exits(&self, label: Label) -> Option<(u8, usize)> {
        let ops = &self.function.ops;
        let goto = |at: usize| match ops.get(at)?.kind {
            OpKind::GotoTb { slot } => Some(slot),
            _ => None,
        };
        let destination = self.s.label_ops[usize::from(label.0)] as usize;
        let falls_in = !ops
            .get(destination.checked_sub(1)?)?
            .kind
            .flags()
            .has(OpFlags::BB_END);
        if falls_in || destination <= self.at || self.s.label_uses[usize::from(label.0)] != 1 {
            return None;
        }
        let (fall, taken) = (goto(self.at + 1)?, goto(destination + 1)?);
        (fall != taken).then_some((taken, destination + 1))
    }
}

/// Results of comparisons are 0 or 1. They stand together in the table.
fn is_compare(op: Opcode) -> bool {
    (Opcode::SetEq as u8..=Opcode::SetTstNeW as u8).contains(&(op as u8))
}
