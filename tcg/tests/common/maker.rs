//! Random functions.

use super::*;
use tcg::builder::{Builder, Function, NO_TEMP, global};

/// Makes a random function. Locals are used only where they are defined on every path: `pool`
/// grows, and is cut back at labels to what it was at the branches there.
struct Maker<'a> {
    r: &'a mut Random,
    b: Builder,
    wide: Vec<Temp>,
    narrow: Vec<Temp>,
    /// Labels to be placed, and the lengths of both pools at the branch.
    open: Vec<(Label, usize, usize)>,
    insns: u64,
}

pub const CONDS: [Cond; 12] = [
    Cond::Eq,
    Cond::Ne,
    Cond::Lt,
    Cond::Ge,
    Cond::Le,
    Cond::Gt,
    Cond::Ltu,
    Cond::Geu,
    Cond::Leu,
    Cond::Gtu,
    Cond::TstEq,
    Cond::TstNe,
];

pub const RMW: [RmwOp; 9] = [
    RmwOp::Xchg,
    RmwOp::Add,
    RmwOp::And,
    RmwOp::Or,
    RmwOp::Xor,
    RmwOp::Smin,
    RmwOp::Smax,
    RmwOp::Umin,
    RmwOp::Umax,
];

impl Maker<'_> {
    fn input(&mut self, ty: Type) -> Temp {
        let choice = self.r.below(8);
        match ty {
            _ if choice == 0 => {
                let value = self.r.number();
                self.b.constant(ty, value)
            }
            Type::I64 if choice < 4 && !self.wide.is_empty() => {
                let recent = self.wide.len().min(4);
                self.wide[self.wide.len() - 1 - self.r.below(recent)]
            }
            Type::I32 if choice < 6 && !self.narrow.is_empty() => self.r.pick(&self.narrow),
            Type::I64 => global(self.r.below(usize::from(I64_GLOBALS)) as u16),
            Type::I32 => global(I64_GLOBALS + self.r.below(usize::from(I32_GLOBALS)) as u16),
        }
    }

    /// A place for a result; the caller calls `defined` when the op is made.
    fn output(&mut self, ty: Type) -> Temp {
        match (ty, self.r.below(8)) {
            (Type::I64, 0..4) => global(self.r.below(usize::from(I64_GLOBALS)) as u16),
            (Type::I32, 0) => global(I64_GLOBALS + self.r.below(usize::from(I32_GLOBALS)) as u16),
            (Type::I64, 4) if !self.wide.is_empty() => self.r.pick(&self.wide),
            (Type::I32, 4) if !self.narrow.is_empty() => self.r.pick(&self.narrow),
            _ => self.b.new_temp(ty),
        }
    }

    fn defined(&mut self, temp: Temp) {
        let info = self.b.function.temps[usize::from(temp.0)];
        let pool = if info.ty == Type::I64 {
            &mut self.wide
        } else {
            &mut self.narrow
        };
        if info.kind == TempKind::Local && !pool.contains(&temp) {
            pool.push(temp);
        }
    }

    fn ty(&mut self) -> Type {
        if self.r.one_in(3) {
            Type::I32
        } else {
            Type::I64
        }
    }

    fn binary(&mut self) {
        type Method = fn(&mut Builder, Type, Temp, Temp, Temp);
        const METHODS: [Method; 23] = [
            Builder::add,
            Builder::sub,
            Builder::mul,
            Builder::muluh,
            Builder::mulsh,
            Builder::mulsuh,
            Builder::divs,
            Builder::divu,
            Builder::rems,
            Builder::remu,
            Builder::and,
            Builder::or,
            Builder::xor,
            Builder::andc,
            Builder::orc,
            Builder::eqv,
            Builder::shl,
            Builder::shr,
            Builder::sar,
            Builder::rotl,
            Builder::rotr,
            Builder::clz,
            Builder::ctz,
        ];
        let ty = self.ty();
        let (a, b) = (self.input(ty), self.input(ty));
        let d = self.output(ty);
        let method = if self.r.one_in(3) {
            METHODS[0]
        } else {
            self.r.pick(&METHODS)
        };
        method(&mut self.b, ty, d, a, b);
        self.defined(d);
    }

    fn unary(&mut self) {
        type Method = fn(&mut Builder, Type, Temp, Temp);
        const METHODS: [Method; 6] = [
            Builder::mov,
            Builder::neg,
            Builder::not,
            Builder::ctpop,
            Builder::bswap16,
            Builder::bswap32,
        ];
        let ty = self.ty();
        let a = self.input(ty);
        let d = self.output(ty);
        match self.r.below(8) {
            0..2 => self.b.mov(ty, d, a),
            2 => self.b.bswap64(ty, d, a),
            _ => self.r.pick(&METHODS)(&mut self.b, ty, d, a),
        }
        self.defined(d);
    }

    fn width(&mut self) {
        type Method = fn(&mut Builder, Type, Temp, Temp);
        const METHODS: [(Method, Type, Type); 4] = [
            (Builder::extrl, Type::I32, Type::I64),
            (Builder::extrh, Type::I32, Type::I64),
            (Builder::exts, Type::I64, Type::I32),
            (Builder::extu, Type::I64, Type::I32),
        ];
        let (method, to, from) = self.r.pick(&METHODS);
        let a = self.input(from);
        let d = self.output(to);
        method(&mut self.b, to, d, a);
        self.defined(d);
    }

    fn field(&mut self) {
        let ty = self.ty();
        let width = ty.bits() as usize;
        let mut pos = self.r.below(width);
        let mut len = 1 + self.r.below(width - pos);
        if self.r.one_in(2) {
            pos = 0;
            len = self.r.pick(&[8, 16, 32]);
        }
        let (pos, len) = (pos as u8, len as u8);
        let (a, b) = (self.input(ty), self.input(ty));
        let d = self.output(ty);
        match self.r.below(3) {
            0 => self.b.extract(ty, d, a, pos, len),
            1 => self.b.sextract(ty, d, a, pos, len),
            _ => self.b.deposit(ty, d, a, b, pos, len),
        }
        self.defined(d);
    }

    fn compare(&mut self) {
        let ty = self.ty();
        let [a, b, t, f] = std::array::from_fn(|_| self.input(ty));
        let d = self.output(ty);
        let cond = self.r.pick(&CONDS);
        match self.r.below(3) {
            0 => self.b.setcond(ty, d, a, b, cond),
            1 => self.b.negsetcond(ty, d, a, b, cond),
            _ => self.b.movcond(ty, d, a, b, t, f, cond),
        }
        self.defined(d);
    }

    fn two_outputs(&mut self, ty: Type) -> (Temp, Temp) {
        let low = self.output(ty);
        let mut high = self.output(ty);
        if high == low {
            high = self.b.new_temp(ty);
        }
        (low, high)
    }

    fn pairs(&mut self) {
        let ty = self.ty();
        let [a, b, c, d] = std::array::from_fn(|_| self.input(ty));
        let bit = self.b.new_temp(ty);
        self.b.setcond(ty, bit, a, d, Cond::Ltu);
        let (low, high) = self.two_outputs(ty);
        match self.r.below(6) {
            0 => self.b.add2(ty, low, high, a, b, c, d),
            1 => self.b.sub2(ty, low, high, a, b, c, d),
            2 => self.b.mulu2(ty, low, high, a, b),
            3 => self.b.muls2(ty, low, high, a, b),
            4 => self.b.addc(ty, low, high, a, b, bit),
            _ => self.b.subb(ty, low, high, a, b, bit),
        }
        self.defined(low);
        self.defined(high);
    }

    /// Mostly inside the memory, on both sides of page borders and of its ends.
    fn address(&mut self) -> Temp {
        if self.r.one_in(4) {
            let value = BASE.wrapping_add(self.r.next() % (5 * PAGE)) & !7;
            return self.b.constant(Type::I64, value);
        }
        let (x, t, u) = (
            self.input(Type::I64),
            self.b.new_temp(Type::I64),
            self.b.new_temp(Type::I64),
        );
        let mask = self.r.pick(&[0xff8, 0xfff, 0x1ff8, 0x3ff8, 0x3fff, 0x7ff8]);
        let mask = self.b.constant(Type::I64, mask);
        self.b.and(Type::I64, t, x, mask);
        let base = self.b.constant(Type::I64, BASE);
        self.b.add(Type::I64, u, t, base);
        if self.r.one_in(2) {
            return u;
        }
        let v = self.b.new_temp(Type::I64);
        let displacement = self.r.below(64) as u64;
        let displacement = self.b.constant(Type::I64, displacement.wrapping_sub(16));
        self.b.add(Type::I64, v, u, displacement);
        v
    }

    fn mem(&mut self, ty: Type) -> MemOp {
        let sizes = if ty == Type::I64 { 4 } else { 3 };
        let mut mem = MemOp(self.r.below(sizes) as u8);
        if self.r.one_in(2) && mem.bytes() < 8 {
            mem = mem.with(MemOp::SB);
        }
        mem
    }

    fn memory(&mut self) {
        let ty = self.ty();
        let mut mem = self.mem(ty);
        for flag in [MemOp::BE, MemOp::ALIGN, MemOp::ATOM_WITHIN16] {
            if self.r.one_in(6) {
                mem = mem.with(flag);
            }
        }
        let addr = self.address();
        if self.r.one_in(2) {
            let v = self.input(ty);
            return self.b.qemu_st(ty, v, addr, oi(mem));
        }
        let d = self.output(ty);
        self.b.qemu_ld(ty, d, addr, oi(mem));
        self.defined(d);
    }

    /// A few accesses off one base, with other things between.
    fn structure(&mut self) {
        let base = self.address();
        for _ in 0..2 + self.r.below(5) {
            let displacement = (self.r.below(20) as u64 * 4).wrapping_sub(16);
            let displacement = self.b.constant(Type::I64, displacement);
            let addr = self.b.new_temp(Type::I64);
            self.b.add(Type::I64, addr, base, displacement);
            let mem = if self.r.one_in(2) {
                MemOp::UQ
            } else {
                self.mem(Type::I64)
            };
            if self.r.one_in(2) {
                let v = self.input(Type::I64);
                self.b.qemu_st(Type::I64, v, addr, oi(mem));
            } else {
                let d = self.output(Type::I64);
                self.b.qemu_ld(Type::I64, d, addr, oi(mem));
                self.defined(d);
            }
            match self.r.below(8) {
                0 => self.memory(),
                1 => self.call(),
                2..5 => self.binary(),
                _ => {}
            }
        }
    }

    fn wide_memory(&mut self) {
        let addr = self.address();
        let [a, b, c, d] = std::array::from_fn(|_| self.input(Type::I64));
        let (low, high) = self.two_outputs(Type::I64);
        match self.r.below(3) {
            0 => return self.b.qemu_st2(Type::I64, a, b, addr, oi(MemOp::UO)),
            1 => self.b.qemu_ld2(Type::I64, low, high, addr, oi(MemOp::UO)),
            _ => {
                self.b
                    .atomic_cmpxchg2(Type::I64, low, high, addr, a, b, c, d, oi(MemOp::UO));
            }
        }
        self.defined(low);
        self.defined(high);
    }

    fn atomic(&mut self) {
        let ty = self.ty();
        let mem = oi(self.mem(ty));
        let addr = self.address();
        let (a, b) = (self.input(ty), self.input(ty));
        let d = self.output(ty);
        if self.r.one_in(2) {
            let rmw = self.r.pick(&RMW);
            self.b.atomic_rmw(ty, d, addr, a, rmw, mem);
        } else {
            self.b.atomic_cmpxchg(ty, d, addr, a, b, mem);
        }
        self.defined(d);
    }

    fn state(&mut self) {
        let ty = self.ty();
        let mem = self.mem(ty);
        let offset = SCRATCH + self.r.below(24) as i32;
        if self.r.one_in(2) {
            let a = self.input(ty);
            return self.b.st(ty, a, offset, mem);
        }
        let d = self.output(ty);
        self.b.ld(ty, d, offset, mem);
        self.defined(d);
    }

    fn call(&mut self) {
        let helper = self.r.below(5);
        let nargs = [2, 0, 4, 1, 3][helper];
        let mut args = [NO_TEMP; 4];
        for arg in args.iter_mut().take(nargs) {
            *arg = self.input(Type::I64);
        }
        let d = if self.r.one_in(3) {
            NO_TEMP
        } else {
            self.output(Type::I64)
        };
        let [a, b, c, e] = args;
        self.b
            .call(Type::I64, d, a, b, c, e, HelperId(helper as u16));
        if d != NO_TEMP {
            self.defined(d);
        }
    }

    fn branch(&mut self) {
        let ty = self.ty();
        let (a, b) = (self.input(ty), self.input(ty));
        let cond = if self.r.one_in(20) {
            Cond::Always
        } else {
            self.r.pick(&CONDS)
        };
        let label = self.b.new_label();
        if self.r.one_in(4) {
            // Through a truth value, as flags are made.
            let t = self.b.new_temp(ty);
            self.b.setcond(ty, t, a, b, cond);
            let zero = self.b.constant(ty, 0);
            self.b.brcond(ty, t, zero, Cond::Ne, label);
        } else {
            self.b.brcond(ty, a, b, cond, label);
        }
        self.open.push((label, self.wide.len(), self.narrow.len()));
    }

    fn place_label(&mut self) {
        let Some((label, wide, narrow)) = self.open.pop() else {
            return;
        };
        if self.r.one_in(6) {
            self.exit();
        }
        self.b.set_label(Type::I64, label);
        self.wide.truncate(wide);
        self.narrow.truncate(narrow);
    }

    /// A counted loop around a few ops.
    fn counted_loop(&mut self) {
        let count = self.b.new_temp(Type::I64);
        let n = self.r.below(4) as u64 + 1;
        let n = self.b.constant(Type::I64, n);
        self.b.mov(Type::I64, count, n);
        let label = self.b.new_label();
        self.b.set_label(Type::I64, label);
        for _ in 0..self.r.below(6) {
            self.plain();
        }
        let (one, zero) = (self.b.constant(Type::I64, 1), self.b.constant(Type::I64, 0));
        self.b.sub(Type::I64, count, count, one);
        self.b.brcond(Type::I64, count, zero, Cond::Ne, label);
    }

    fn plain(&mut self) {
        match self.r.below(20) {
            0..5 => self.binary(),
            5..7 => self.unary(),
            7..9 => self.width(),
            9..11 => self.field(),
            11..13 => self.compare(),
            13 => self.pairs(),
            14..17 if self.r.one_in(6) => self.structure(),
            14..17 => self.memory(),
            17 => match self.r.below(4) {
                0 => self.wide_memory(),
                1 => self.atomic(),
                2 => self.state(),
                _ => self.b.mb(Type::I64, Barrier::Full),
            },
            18 => self.call(),
            _ => {
                let (pc, extra) = (0x1000 + 2 * self.insns, self.r.next());
                self.insns += 1;
                self.b.insn_start(Type::I64, pc, extra);
            }
        }
    }

    fn exit(&mut self) {
        let slot = self.r.below(2) as u8;
        if self.r.one_in(2) {
            self.b.goto_tb(Type::I64, slot);
        }
        let value = self.r.number();
        let pc = self.b.constant(Type::I64, value);
        self.b.mov(Type::I64, global(PC), pc);
        match self.r.below(5) {
            0 => self.b.goto_ptr(Type::I64),
            1 => self.b.exit_tb(Type::I64, TbExit::Main),
            2 => self.b.exit_tb(Type::I64, TbExit::Exception),
            _ => self.b.exit_tb(Type::I64, TbExit::Slot(slot)),
        }
    }

    /// The end of a block with a conditional branch.
    fn two_exits(&mut self) {
        let (a, b) = (self.input(Type::I64), self.input(Type::I64));
        let (label, cond) = (self.b.new_label(), self.r.pick(&CONDS));
        self.b.brcond(Type::I64, a, b, cond, label);
        let first = self.r.below(2) as u8;
        self.b.goto_tb(Type::I64, first);
        self.b.exit_tb(Type::I64, TbExit::Slot(first));
        self.b.set_label(Type::I64, label);
        let second = if self.r.one_in(8) { first } else { 1 - first };
        self.b.goto_tb(Type::I64, second);
        self.b.exit_tb(Type::I64, TbExit::Slot(second));
    }

    fn all(&mut self) {
        self.b.insn_start(Type::I64, 0x1000, 99);
        for _ in 0..5 + self.r.below(40) {
            match self.r.below(16) {
                0 => self.branch(),
                1 | 2 => self.place_label(),
                3 if self.r.one_in(4) => self.counted_loop(),
                _ => self.plain(),
            }
        }
        while !self.open.is_empty() {
            self.place_label();
        }
        if self.r.one_in(2) {
            self.two_exits()
        } else {
            self.exit()
        }
    }
}

pub fn make(r: &mut Random) -> Function {
    let b = Builder::new(&globals());
    let mut maker = Maker {
        r,
        b,
        wide: vec![],
        narrow: vec![],
        open: vec![],
        insns: 1,
    };
    maker.all();
    maker.b.function
}
