#!/usr/bin/env python3
"""Makes disas.txt: encodings of every row of the decode tables, and binutils' text for them.

usage: make-disas.py DECODE_RS AS OBJDUMP > disas.txt

DECODE_RS is the decoder that build.rs made (its lists of patterns are read); AS and OBJDUMP are
those of binutils 2.44 or later for riscv64.
"""
import random
import re
import subprocess
import sys
import tempfile

ARCH = ("rv64gc_zicond_zicbom_zicbop_zicboz_zihintpause_zimop_zabha_zacas_zawrs_zfa_zfh_zcb_zcmop"
        "_zba_zbb_zbc_zbkb_zbs_svinval")
# Registers that objdump has aliases for: (rd, rs1, rs2, imm) bits laid over the random ones.
SHAPES32 = [
    (0, 0), (0x1f << 7, 0), (0x1f << 7, 1 << 7), (0x1f << 15, 0), (0x1f << 20, 0),
    (0xfff << 20, 0), (0xfff << 20, 1 << 20), (0xfff << 20, 0xfff << 20), (7 << 12, 7 << 12),
    (0xfff << 20 | 0x1f << 7, 0), (0x1f << 15 | 0xfff << 20, 0), (0xfff << 20, 255 << 20),
]
SHAPES16 = [(0, 0), (0, 0), (0, 0), (0x1f << 7, 1 << 7), (0x1f << 2, 0), (0x1f << 7, 0)]
CSRS = [0x001, 0x002, 0x003, 0x100, 0x180, 0x300, 0x340, 0xc00, 0xc01, 0xc02, 0xf14, 0x7ff]


def patterns(text, name):
    body = re.search(name + r"_PATTERNS: .*?\[(.*?)\];", text, re.S).group(1)
    row = r'name: "(\w+)", mask: (0x\w+), bits: (0x\w+)'
    return [(n, int(m, 16), int(b, 16)) for n, m, b in re.findall(row, body)]


def encodings(text):
    rng = random.Random(1)
    found = {4: [], 2: []}
    for length, name, shapes in ((4, "INSN32", SHAPES32), (2, "INSN16", SHAPES16)):
        for _, mask, bits in patterns(text, name):
            for over, value in shapes:
                insn = rng.getrandbits(8 * length)
                insn = insn & ~over | value
                found[length].append(insn & ~mask | bits)
    for csr in CSRS:
        for funct3 in (1, 2, 3, 5, 6, 7):
            for regs in (0, 10 << 7, 10 << 15, 10 << 15 | 11 << 7):
                found[4].append(csr << 20 | funct3 << 12 | regs | 0x73)
    low = [0x8067, 0x8082, 0x13, 1, 0x0ff0000f, 0x8330000f, 0x30200073, 0x10200073, 0]
    found[2] += [i for i in low if i & 3 != 3]
    found[4] += [i for i in low if i & 3 == 3]
    return [(i, 4) for i in dict.fromkeys(found[4])] + [(i, 2) for i in dict.fromkeys(found[2])]


def main():
    decode_rs, assembler, objdump = sys.argv[1:]
    insns = encodings(open(decode_rs).read())
    with tempfile.TemporaryDirectory() as folder:
        source, binary = folder + "/a.s", folder + "/a.o"
        with open(source, "w") as out:
            out.write(".option norelax\n")
            for insn, length in insns:
                # One symbol an instruction, so that pc-relative operands are readable.
                out.write(f".{length}byte {insn:#x}\n")
        subprocess.run([assembler, "-march=" + ARCH, "-o", binary, source], check=True)
        text = subprocess.run([objdump, "-D", "-j", ".text", "-z", binary], check=True,
                              capture_output=True, text=True).stdout
    rows = re.findall(r"^ *([0-9a-f]+):\t([0-9a-f]+) +\t(.*)$", text, re.M)
    assert len(rows) == len(insns), (len(rows), len(insns))
    for (insn, length), (address, bits, operands) in zip(insns, rows):
        assert int(bits, 16) == insn, (bits, hex(insn))
        operands = re.sub(r"\s+#.*", "", operands)
        operands = re.sub(r"\b([0-9a-f]+) <.*>", r"0x\1", operands)
        # Not compared: what objdump rejects (it wants rm = 0 in exact conversions), hints, which
        # it writes by their compressed names or in full, and CSRs of RV32.
        if re.match(r"\.insn|c\.(?!mop)|addi\t\w+,\w+,0$|.*hpmcounter\d+h", operands):
            continue
        print(f"{address} {insn:0{2 * length}x} {operands.replace(chr(9), ' ')}".rstrip())


if __name__ == "__main__":
    main()
