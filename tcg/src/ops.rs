//! The op table: the one place where TCG ops are stated.
//!
//! [`for_each_op!`] hands every row to a macro; the enum, names, flags, the visitor, printer and
//! most of the builder are derived from it (see `ir.rs`, `builder.rs`, `printer.rs`).
//!
//! A row reads `name = Variant { outputs <- inputs ; constants } FLAGS;`. Outputs and inputs are
//! temps; constants are immediate fields with their Rust types. Every op has a [`Type`]
//! (`I32` or `I64`) that its temps have unless the comment says otherwise.
//!
//! Semantics are total: no op has an undefined result, so that every back end agrees bit for bit.
//! Shift counts are taken modulo the width. Division by zero gives all ones (quotient) and the
//! dividend (remainder); the most negative number by -1 gives itself and 0.
//!
//! [`Type`]: crate::ir::Type

/// Calls `$macro! { rows }` with the whole op table.
#[macro_export]
macro_rules! for_each_op {
    ($macro:ident) => {
        $macro! {
            // Moves and integer arithmetic.
            mov = Mov { d <- a ; } [];
            add = Add { d <- a, b ; } [];
            sub = Sub { d <- a, b ; } [];
            mul = Mul { d <- a, b ; } [];
            // High half of the double-width product.
            muluh = Muluh { d <- a, b ; } [];
            mulsh = Mulsh { d <- a, b ; } [];
            // a signed, b unsigned.
            mulsuh = Mulsuh { d <- a, b ; } [];
            divs = Divs { d <- a, b ; } [];
            divu = Divu { d <- a, b ; } [];
            rems = Rems { d <- a, b ; } [];
            remu = Remu { d <- a, b ; } [];
            neg = Neg { d <- a ; } [];
            // Double-width arithmetic on (low, high) pairs.
            add2 = Add2 { dl, dh <- al, ah, bl, bh ; } [];
            sub2 = Sub2 { dl, dh <- al, ah, bl, bh ; } [];
            mulu2 = Mulu2 { dl, dh <- a, b ; } [];
            muls2 = Muls2 { dl, dh <- a, b ; } [];
            // Carry in and out are 0 or 1.
            addc = Addc { d, co <- a, b, ci ; } [];
            subb = Subb { d, bo <- a, b, bi ; } [];

            // Logic.
            and = And { d <- a, b ; } [];
            or = Or { d <- a, b ; } [];
            xor = Xor { d <- a, b ; } [];
            not = Not { d <- a ; } [];
            // a & !b, a | !b, !(a ^ b)
            andc = Andc { d <- a, b ; } [];
            orc = Orc { d <- a, b ; } [];
            eqv = Eqv { d <- a, b ; } [];
            shl = Shl { d <- a, b ; } [];
            shr = Shr { d <- a, b ; } [];
            sar = Sar { d <- a, b ; } [];
            rotl = Rotl { d <- a, b ; } [];
            rotr = Rotr { d <- a, b ; } [];
            // b when a is 0.
            clz = Clz { d <- a, b ; } [];
            ctz = Ctz { d <- a, b ; } [];
            ctpop = Ctpop { d <- a ; } [];
            // Byte swaps of the low 16, 32 or 64 bits; the rest of the result is zero.
            bswap16 = Bswap16 { d <- a ; } [];
            bswap32 = Bswap32 { d <- a ; } [];
            bswap64 = Bswap64 { d <- a ; } [];
            // Bit fields: 0 <= pos, 1 <= len, pos + len <= width.
            extract = Extract { d <- a ; pos: u8, len: u8 } [];
            sextract = Sextract { d <- a ; pos: u8, len: u8 } [];
            // a with the field replaced by the low bits of b.
            deposit = Deposit { d <- a, b ; pos: u8, len: u8 } [];

            // Width changes. `type` is that of the result.
            extrl = Extrl { d <- a ; } []; // I32 <- low half of an I64
            extrh = Extrh { d <- a ; } []; // I32 <- high half of an I64
            exts = Exts { d <- a ; } [];   // I64 <- sign-extended I32
            extu = Extu { d <- a ; } [];   // I64 <- zero-extended I32

            // Comparisons. `d` is 0 or 1 (setcond), 0 or -1 (negsetcond).
            setcond = Setcond { d <- a, b ; cond: Cond } [];
            negsetcond = Negsetcond { d <- a, b ; cond: Cond } [];
            // d = cond(a, b) ? t : f
            movcond = Movcond { d <- a, b, t, f ; cond: Cond } [];

            // Control flow inside a block.
            set_label = SetLabel { <- ; label: Label } [BB_START];
            br = Br { <- ; label: Label } [BB_END];
            brcond = Brcond { <- a, b ; cond: Cond, label: Label } [COND_BRANCH];

            // CPU state: byte offset from the start of `CpuState`; sign and size from `mem`.
            ld = Ld { d <- ; offset: i32, mem: MemOp } [READS_STATE];
            st = St { <- a ; offset: i32, mem: MemOp } [WRITES_STATE];

            // Guest memory. May fault: globals are in memory and up to date before them.
            // Little-endian or big-endian by `oi`; loads extend to the type by its sign bit.
            qemu_ld = QemuLd { d <- addr ; oi: MemOpIdx } [MAY_FAULT];
            qemu_st = QemuSt { <- v, addr ; oi: MemOpIdx } [MAY_FAULT];
            qemu_ld2 = QemuLd2 { dl, dh <- addr ; oi: MemOpIdx } [MAY_FAULT];
            qemu_st2 = QemuSt2 { <- vl, vh, addr ; oi: MemOpIdx } [MAY_FAULT];
            // Atomic read-modify-write, sequentially consistent; `d` is the old value, extended.
            // A misaligned address faults as a misaligned store (AMO) fault.
            atomic_cmpxchg = AtomicCmpxchg { d <- addr, expected, new ; oi: MemOpIdx } [MAY_FAULT];
            atomic_cmpxchg2 = AtomicCmpxchg2 {
                dl, dh <- addr, el, eh, nl, nh ; oi: MemOpIdx
            } [MAY_FAULT];
            atomic_rmw = AtomicRmw { d <- addr, v ; rmw: RmwOp, oi: MemOpIdx } [MAY_FAULT];
            mb = Mb { <- ; barrier: Barrier } [SIDE_EFFECT];

            // Calls: arguments and results are I64 temps; see `HelperInfo` for what it may do.
            call = Call { d <- a0, a1, a2, a3 ; helper: HelperId } [CALL];

            // Guest instruction border: what `restore_state` gets when a later op faults.
            insn_start = InsnStart { <- ; pc: u64, extra: u64 } [];

            // Ends of a block.
            // Continues in the block linked at exit `slot`; falls through while there is none.
            goto_tb = GotoTb { <- ; slot: u8 } [SIDE_EFFECT];
            // Looks the block for the current CPU state up and continues there.
            goto_ptr = GotoPtr { <- ; } [BB_END, READS_ALL];
            // Leaves to the execution loop; `exit` says which slot to link, or why.
            exit_tb = ExitTb { <- ; exit: TbExit } [BB_END, READS_ALL];

            // Vector ops (V128) will stand here.
        }
    };
}
