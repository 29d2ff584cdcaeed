//! The table of CSRs, sorted by number. A row: number (or first..count), name, gate, read, write.

use super::counters::*;
use super::values::*;
use super::{Csr, Gate, Read, Write};

const fn row(first: u16, name: &'static str, gate: Gate, read: Read, write: Write) -> Csr {
    Csr {
        first,
        count: 1,
        name,
        gate,
        read,
        write,
    }
}

const fn rows(
    (first, count): (u16, u16),
    name: &'static str,
    gate: Gate,
    read: Read,
    write: Write,
) -> Csr {
    Csr {
        first,
        count,
        name,
        gate,
        read,
        write,
    }
}

#[rustfmt::skip]
pub static TABLE: &[Csr] = &[
    row(0x001, "fflags", fs_on, read_fflags, write_fflags),
    row(0x002, "frm", fs_on, read_frm, write_frm),
    row(0x003, "fcsr", fs_on, read_fcsr, write_fcsr),

    row(0x100, "sstatus", always, read_sstatus, write_sstatus),
    row(0x104, "sie", always, |c, _| Ok(c.mie & c.mideleg), write_sie),
    row(0x105, "stvec", always, |c, _| Ok(c.stvec), |c, _, u| set_tvec(&mut c.stvec, u)),
    row(0x106, "scounteren", always, |c, _| Ok(c.scounteren),
        |c, _, u| set(&mut c.scounteren, u, COUNTEREN)),
    row(0x10a, "senvcfg", senvcfg_gate, |c, _| Ok(c.senvcfg), write_senvcfg),
    rows((0x10c, 4), "sstateen", sstateen_gate, |c, n| Ok(c.sstateen[(n - 0x10c) as usize]),
        write_sstateen),
    row(0x140, "sscratch", always, |c, _| Ok(c.sscratch), |c, _, u| set(&mut c.sscratch, u, ALL)),
    row(0x141, "sepc", always, read_sepc, |c, _, u| set(&mut c.sepc, u, !1)),
    row(0x142, "scause", always, |c, _| Ok(c.scause), |c, _, u| set(&mut c.scause, u, ALL)),
    row(0x143, "stval", always, |c, _| Ok(c.stval), |c, _, u| set(&mut c.stval, u, ALL)),
    row(0x144, "sip", always, |c, _| Ok(c.mip() & c.mideleg), write_sip),
    row(0x14d, "stimecmp", stimecmp_gate, |c, _| Ok(c.stimecmp), write_stimecmp),
    row(0x180, "satp", satp_gate, |c, _| Ok(c.satp), write_satp),

    row(0x300, "mstatus", always, |c, _| Ok(c.read_mstatus()), write_mstatus),
    row(0x301, "misa", always, |c, _| Ok(c.isa.misa()), ignore),
    row(0x302, "medeleg", always, |c, _| Ok(c.medeleg),
        |c, _, u| set(&mut c.medeleg, u, DELEGABLE_EXCEPTIONS)),
    row(0x303, "mideleg", always, |c, _| Ok(c.mideleg), write_mideleg),
    row(0x304, "mie", always, |c, _| Ok(c.mie), write_mie),
    row(0x305, "mtvec", always, |c, _| Ok(c.mtvec), |c, _, u| set_tvec(&mut c.mtvec, u)),
    row(0x306, "mcounteren", always, |c, _| Ok(c.mcounteren),
        |c, _, u| set(&mut c.mcounteren, u, COUNTEREN)),
    row(0x30a, "menvcfg", always, |c, _| Ok(c.menvcfg), write_menvcfg),
    rows((0x30c, 4), "mstateen", has_smstateen, |c, n| Ok(c.mstateen[(n - 0x30c) as usize]),
        write_mstateen),
    row(0x320, "mcountinhibit", always, |c, _| Ok(c.mcountinhibit), write_mcountinhibit),
    rows((0x323, 29), "mhpmevent", has_zihpm, read_mhpmevent, write_mhpmevent),
    row(0x340, "mscratch", always, |c, _| Ok(c.mscratch), |c, _, u| set(&mut c.mscratch, u, ALL)),
    row(0x341, "mepc", always, read_mepc, |c, _, u| set(&mut c.mepc, u, !1)),
    row(0x342, "mcause", always, |c, _| Ok(c.mcause), |c, _, u| set(&mut c.mcause, u, ALL)),
    row(0x343, "mtval", always, |c, _| Ok(c.mtval), |c, _, u| set(&mut c.mtval, u, ALL)),
    row(0x344, "mip", always, |c, _| Ok(c.mip()), write_mip),
    rows((0x3a0, 4), "pmpcfg", pmpcfg_gate,
        |c, n| Ok(c.pmp.read_config((n - 0x3a0) as usize)), write_pmpcfg),
    rows((0x3b0, 16), "pmpaddr", has_pmp,
        |c, n| Ok(c.pmp.read_addr((n - 0x3b0) as usize)), write_pmpaddr),

    row(0xb00, "mcycle", always, read_cycle, write_mcycle),
    row(0xb02, "minstret", always, read_instret, write_minstret),
    rows((0xb03, 29), "mhpmcounter", has_zihpm, read_hpmcounter, write_mhpmcounter),
    row(0xc00, "cycle", counter_gate, read_cycle, ignore),
    row(0xc01, "time", time_gate, read_time, ignore),
    row(0xc02, "instret", counter_gate, read_instret, ignore),
    rows((0xc03, 29), "hpmcounter", hpm_gate, read_hpmcounter, ignore),
    row(0xda0, "scountovf", has_sscofpmf, read_scountovf, ignore),

    row(0xf11, "mvendorid", always, |c, _| Ok(c.isa.mvendorid), ignore),
    row(0xf12, "marchid", always, |c, _| Ok(c.isa.marchid), ignore),
    row(0xf13, "mimpid", always, |c, _| Ok(c.isa.mimpid), ignore),
    row(0xf14, "mhartid", always, |c, _| Ok(c.hart()), ignore),
    row(0xf15, "mconfigptr", always, |_, _| Ok(0), ignore),
];
