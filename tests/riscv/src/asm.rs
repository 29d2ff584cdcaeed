//! Just enough of an assembler for the test program's own code (Unprivileged manual, chapter
//! "RV32/64G Instruction Set Listings").

/// Machine code with labels; branches to later labels are patched by [`Asm::finish`].
#[derive(Default)]
pub struct Asm {
    pub code: Vec<u8>,
    labels: Vec<Option<usize>>,
    fixes: Vec<(usize, Label, Fix)>,
}

/// A place in the code.
#[derive(Clone, Copy)]
pub struct Label(usize);

#[derive(Clone, Copy)]
enum Fix {
    Branch,
    Jump,
    /// c.beqz, c.bnez
    HalfBranch,
    /// c.j
    HalfJump,
    /// auipc + addi
    Address,
}

fn imm_b(imm: i32) -> u32 {
    let i = imm as u32;
    (i >> 12 & 1) << 31 | (i >> 5 & 0x3f) << 25 | (i >> 1 & 0xf) << 8 | (i >> 11 & 1) << 7
}

fn imm_j(imm: i32) -> u32 {
    let i = imm as u32;
    (i >> 20 & 1) << 31 | (i >> 1 & 0x3ff) << 21 | (i >> 11 & 1) << 20 | (i >> 12 & 0xff) << 12
}

fn imm_cb(imm: i32) -> u32 {
    let i = imm as u32;
    let low = (i >> 6 & 3) << 5 | (i >> 1 & 3) << 3 | (i >> 5 & 1) << 2;
    (i >> 8 & 1) << 12 | (i >> 3 & 3) << 10 | low
}

fn imm_cj(imm: i32) -> u32 {
    let i = imm as u32;
    let high = (i >> 11 & 1) << 12 | (i >> 4 & 1) << 11 | (i >> 8 & 3) << 9 | (i >> 10 & 1) << 8;
    high | (i >> 6 & 1) << 7 | (i >> 7 & 1) << 6 | (i >> 1 & 7) << 3 | (i >> 5 & 1) << 2
}

impl Asm {
    pub fn here(&self) -> usize {
        self.code.len()
    }

    pub fn word(&mut self, insn: u32) {
        self.code.extend_from_slice(&insn.to_le_bytes());
    }

    pub fn half(&mut self, insn: u16) {
        self.code.extend_from_slice(&insn.to_le_bytes());
    }

    pub fn align(&mut self, bytes: usize) {
        self.code.resize(self.code.len().next_multiple_of(bytes), 0);
    }

    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() - 1)
    }

    pub fn place(&mut self, label: Label) {
        self.labels[label.0] = Some(self.here());
    }

    fn i(&mut self, opcode: u32, funct3: u32, rd: u32, rs1: u32, imm: i32) {
        self.word((imm as u32) << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | opcode);
    }

    fn s(&mut self, opcode: u32, funct3: u32, rs1: u32, rs2: u32, imm: i32) {
        let i = imm as u32;
        let low = (i & 0x1f) << 7;
        self.word(i >> 5 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | low | opcode);
    }

    fn r(&mut self, funct7: u32, funct3: u32, rd: u32, rs1: u32, rs2: u32) {
        self.word(funct7 << 25 | rs2 << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | 0x33);
    }

    pub fn addi(&mut self, rd: u32, rs1: u32, imm: i32) {
        self.i(0x13, 0, rd, rs1, imm);
    }

    pub fn andi(&mut self, rd: u32, rs1: u32, imm: i32) {
        self.i(0x13, 7, rd, rs1, imm);
    }

    pub fn slli(&mut self, rd: u32, rs1: u32, shift: i32) {
        self.i(0x13, 1, rd, rs1, shift);
    }

    pub fn srli(&mut self, rd: u32, rs1: u32, shift: i32) {
        self.i(0x13, 5, rd, rs1, shift);
    }

    pub fn xor(&mut self, rd: u32, rs1: u32, rs2: u32) {
        self.r(0, 4, rd, rs1, rs2);
    }

    pub fn add(&mut self, rd: u32, rs1: u32, rs2: u32) {
        self.r(0, 0, rd, rs1, rs2);
    }

    pub fn mul(&mut self, rd: u32, rs1: u32, rs2: u32) {
        self.r(1, 0, rd, rs1, rs2);
    }

    pub fn lui(&mut self, rd: u32, imm20: u32) {
        self.word(imm20 << 12 | rd << 7 | 0x37);
    }

    /// A 32-bit constant, sign-extended.
    pub fn li(&mut self, rd: u32, value: i32) {
        let high = (value.wrapping_add(0x800) as u32) >> 12;
        self.lui(rd, high);
        self.i(0x1b, 0, rd, rd, value << 20 >> 20);
    }

    /// An unsigned 32-bit constant.
    pub fn li_u32(&mut self, rd: u32, value: u32) {
        self.li(rd, value as i32);
        self.slli(rd, rd, 32);
        self.srli(rd, rd, 32);
    }

    pub fn ld(&mut self, rd: u32, rs1: u32, imm: i32) {
        self.i(0x03, 3, rd, rs1, imm);
    }

    pub fn lw(&mut self, rd: u32, rs1: u32, imm: i32) {
        self.i(0x03, 2, rd, rs1, imm);
    }

    pub fn lhu(&mut self, rd: u32, rs1: u32, imm: i32) {
        self.i(0x03, 5, rd, rs1, imm);
    }

    pub fn sd(&mut self, rs2: u32, rs1: u32, imm: i32) {
        self.s(0x23, 3, rs1, rs2, imm);
    }

    pub fn sb(&mut self, rs2: u32, rs1: u32, imm: i32) {
        self.s(0x23, 0, rs1, rs2, imm);
    }

    pub fn sw(&mut self, rs2: u32, rs1: u32, imm: i32) {
        self.s(0x23, 2, rs1, rs2, imm);
    }

    pub fn fld(&mut self, fd: u32, rs1: u32, imm: i32) {
        self.i(0x07, 3, fd, rs1, imm);
    }

    pub fn fsd(&mut self, fs2: u32, rs1: u32, imm: i32) {
        self.s(0x27, 3, rs1, fs2, imm);
    }

    pub fn csrrw(&mut self, rd: u32, csr: u32, rs1: u32) {
        self.i(0x73, 1, rd, rs1, csr as i32);
    }

    pub fn csrrs(&mut self, rd: u32, csr: u32, rs1: u32) {
        self.i(0x73, 2, rd, rs1, csr as i32);
    }

    pub fn csrrc(&mut self, rd: u32, csr: u32, rs1: u32) {
        self.i(0x73, 3, rd, rs1, csr as i32);
    }

    pub fn jalr(&mut self, rd: u32, rs1: u32) {
        self.i(0x67, 0, rd, rs1, 0);
    }

    pub fn fence_i(&mut self) {
        self.word(0x0000_100f);
    }

    pub fn jal(&mut self, rd: u32, to: Label) {
        self.fixes.push((self.here(), to, Fix::Jump));
        self.word(rd << 7 | 0x6f);
    }

    /// c.j
    pub fn c_j(&mut self, to: Label) {
        self.fixes.push((self.here(), to, Fix::HalfJump));
        self.half(0xa001);
    }

    /// c.beqz, or c.bnez if `not`, of x8 + `reg`.
    pub fn c_branch(&mut self, not: bool, reg: u32, to: Label) {
        self.fixes.push((self.here(), to, Fix::HalfBranch));
        self.half(0xc001 | u16::from(not) << 13 | (reg as u16) << 7);
    }

    /// `funct3`: 0 beq, 1 bne, 4 blt, 5 bge, 6 bltu, 7 bgeu.
    pub fn branch(&mut self, funct3: u32, rs1: u32, rs2: u32, to: Label) {
        self.fixes.push((self.here(), to, Fix::Branch));
        self.word(rs2 << 20 | rs1 << 15 | funct3 << 12 | 0x63);
    }

    /// The address of `to`.
    pub fn la(&mut self, rd: u32, to: Label) {
        self.fixes.push((self.here(), to, Fix::Address));
        self.word(rd << 7 | 0x17);
        self.addi(rd, rd, 0);
    }

    fn or_at(&mut self, at: usize, bits: u32) {
        let old = u32::from_le_bytes(self.code[at..at + 4].try_into().expect("four bytes"));
        self.code[at..at + 4].copy_from_slice(&(old | bits).to_le_bytes());
    }

    fn or_half_at(&mut self, at: usize, bits: u32) {
        let old = u16::from_le_bytes(self.code[at..at + 2].try_into().expect("two bytes"));
        self.code[at..at + 2].copy_from_slice(&(old | bits as u16).to_le_bytes());
    }

    /// Patches what refers to labels.
    pub fn finish(mut self) -> Vec<u8> {
        for (at, label, fix) in std::mem::take(&mut self.fixes) {
            let to = self.labels[label.0].expect("every label is placed");
            let distance = to as i32 - at as i32;
            match fix {
                Fix::Branch => {
                    assert!((-4096..4096).contains(&distance), "branch too far");
                    self.or_at(at, imm_b(distance));
                }
                Fix::Jump => {
                    assert!((-(1 << 20)..1 << 20).contains(&distance), "jump too far");
                    self.or_at(at, imm_j(distance));
                }
                Fix::HalfBranch => {
                    assert!((-256..256).contains(&distance), "short branch too far");
                    self.or_half_at(at, imm_cb(distance));
                }
                Fix::HalfJump => {
                    assert!((-2048..2048).contains(&distance), "short jump too far");
                    self.or_half_at(at, imm_cj(distance));
                }
                Fix::Address => {
                    self.or_at(at, (distance.wrapping_add(0x800) as u32) & 0xffff_f000);
                    self.or_at(at + 4, (distance as u32) << 20);
                }
            }
        }
        self.code
    }
}
