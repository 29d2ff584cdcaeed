//! Random instruction sequences, made from the rows of the guest's own decode tables.

use guest_riscv::decode::{INSN16_PATTERNS, INSN32_PATTERNS};

use crate::random::Random;

/// Registers that usually hold addresses in the scratch memory: sp, s0, s1 (which the compressed
/// forms reach too).
pub const BASES: [u32; 3] = [2, 8, 9];
/// Scratch memory that bases point into the middle of.
pub const SCRATCH_BYTES: usize = 4096;

/// Never drawn: what ends the program, waits, changes modes, or depends on time or the machine.
const EXCLUDED: &[&str] = &[
    "mret",
    "sret",
    "wfi",
    "jalr",
    "c_jalr",
    "c_jr",
    "ebreak",
    "c_ebreak",
    "ecall",
    "wrs_nto",
    "wrs_sto",
    "sfence_vma",
    "sinval_vma",
    "sfence_w_inval",
    "sfence_inval_ir",
    "csrrw",
    "csrrs",
    "csrrc",
    "csrrwi",
    "csrrsi",
    "csrrci",
    "fence_i",
    "pause",
    "cbo_inval",
    "mnret",
    "lr_w",
    "lr_d",
    "sc_w",
    "sc_d",
];

/// Groups of instructions by what their names begin with.
const GROUPS: &[(&str, &[&str])] = &[
    ("float", &["f", "c_f"]),
    ("atomic", &["amo", "lr_", "sc_"]),
    ("compressed", &["c_"]),
    ("cache", &["cbo_", "prefetch"]),
];

/// One kind of instruction.
#[derive(Clone, Copy)]
struct Kind {
    name: &'static str,
    mask: u32,
    bits: u32,
    half: bool,
}

/// Draws instructions of one group, or of all.
pub struct Generator {
    kinds: Vec<Kind>,
}

fn group_of(kind: &Kind) -> &'static str {
    let prefixed = |prefixes: &[&str]| prefixes.iter().any(|p| kind.name.starts_with(p));
    if kind.half {
        return "compressed";
    }
    GROUPS
        .iter()
        .find(|(group, prefixes)| *group != "compressed" && prefixed(prefixes))
        .filter(|_| !kind.name.starts_with("fence"))
        .map_or("integer", |(group, _)| group)
}

/// All groups that `--group` takes.
pub const GROUP_NAMES: [&str; 6] = ["all", "integer", "float", "atomic", "compressed", "cache"];

impl Generator {
    /// The kinds of `group` (`all` for every one); an unknown group or instruction has none.
    pub fn new(group: &str) -> Self {
        let wide = INSN32_PATTERNS.iter().map(|p| Kind {
            name: p.name,
            mask: p.mask,
            bits: p.bits,
            half: false,
        });
        let narrow = INSN16_PATTERNS.iter().map(|p| Kind {
            name: p.name,
            mask: p.mask,
            bits: p.bits,
            half: true,
        });
        let kinds = wide
            .chain(narrow)
            .filter(|kind| !EXCLUDED.contains(&kind.name))
            .filter(|kind| group == "all" || group == group_of(kind) || group == kind.name)
            .collect();
        Self { kinds }
    }

    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// One instruction as it falls, and whether it is compressed.
    pub fn draw(&self, random: &mut Random) -> (u32, bool) {
        let kind = random.pick(&self.kinds);
        let insn = kind.bits | random.next() as u32 & !kind.mask;
        if kind.half {
            (insn & 0xffff, true)
        } else {
            (insn, false)
        }
    }

    /// A sequence of about `length` instructions as bytes, all control flow forward and inside.
    pub fn sequence(&self, random: &mut Random, length: usize) -> Vec<u8> {
        let mut code: Vec<u8> = Vec::new();
        for _ in 0..length {
            let kind = random.pick(&self.kinds);
            let free = random.next() as u32 & !kind.mask;
            if kind.half {
                let insn = (kind.bits | free) as u16;
                code.extend_from_slice(&shape_half(insn, random).to_le_bytes());
            } else {
                let insn = shape_word(kind, kind.bits | free, random);
                code.extend_from_slice(&insn.to_le_bytes());
            }
        }
        // Landing place of branches: they skip at most two instructions.
        for _ in 0..6 {
            code.extend_from_slice(&1u16.to_le_bytes()); // c.nop
        }
        code
    }
}

/// Makes memory accesses hit the scratch memory, branches go a little forward, and the bases
/// survive; leaves one in 32 as it fell.
fn shape_word(kind: Kind, insn: u32, random: &mut Random) -> u32 {
    const LOAD: u32 = 0x03;
    const LOAD_FP: u32 = 0x07;
    const STORE: u32 = 0x23;
    const STORE_FP: u32 = 0x27;
    const AMO: u32 = 0x2f;
    const BRANCH: u32 = 0x63;
    const JAL: u32 = 0x6f;
    const MISC_MEM: u32 = 0x0f;
    let opcode = kind.bits & 0x7f;
    let mut insn = insn;
    match opcode {
        BRANCH => return insn & 0x01ff_f07f | 8 << 8, // 8 bytes on
        JAL => return protect_rd(insn & 0xfff | 8 << 20, random),
        _ => {}
    }
    let memory = [LOAD, LOAD_FP, STORE, STORE_FP, AMO, MISC_MEM].contains(&opcode);
    if memory && !random.one_in(32) {
        insn = insn & !(31 << 15) | random.pick(&BASES) << 15;
    }
    if matches!(opcode, STORE | STORE_FP) {
        return insn;
    }
    protect_rd(insn, random)
}

/// Mostly keeps the bases from being overwritten.
fn protect_rd(insn: u32, random: &mut Random) -> u32 {
    let rd = insn >> 7 & 31;
    if BASES.contains(&rd) && !random.one_in(16) {
        insn ^ 4 << 7
    } else {
        insn
    }
}

/// Compressed: branches go forward a little, and rd (bits 11:7 of quadrants 1 and 2) keeps off sp
/// and s0, s1 as a rule.
fn shape_half(insn: u16, random: &mut Random) -> u16 {
    let (quadrant, funct3) = (insn & 3, insn >> 13);
    match (quadrant, funct3) {
        // c.j: imm[11|4|9:8|10|6|7|3:1|5], offset 4
        (1, 5) => insn & 0xe003 | 2 << 3,
        // c.beqz, c.bnez: offset 4
        (1, 6 | 7) => insn & 0xe383 | 2 << 3,
        (1, 0..=3) | (2, 0..=4) if BASES.contains(&u32::from(insn >> 7 & 31)) => {
            if random.one_in(16) {
                insn
            } else {
                insn ^ 4 << 7
            }
        }
        _ => insn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_group_has_instructions() {
        for group in GROUP_NAMES {
            assert!(!Generator::new(group).is_empty(), "{group}");
        }
        assert!(Generator::new("nonsense").is_empty());
    }

    #[test]
    fn sequences_repeat_by_seed() {
        let generator = Generator::new("all");
        let make = |seed| generator.sequence(&mut Random::new(seed), 50);
        assert_eq!(make(7), make(7));
        assert_ne!(make(7), make(8));
    }
}
