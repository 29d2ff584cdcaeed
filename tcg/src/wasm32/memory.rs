//! Guest memory for generated code: the compare with the TLB inline, one plain or atomic access on
//! a hit, and the call of a slow path on a miss. `tci/memory.rs` says why one compare is enough.
//!
//! The entry's address is kept in a scratch local between the compare and the hit; an entry for a
//! constant guest address is at a constant offset from the CPU.

use std::mem::offset_of;

use wasm_encoder::{BlockType, Instruction as I, MemArg};

use super::CMPXCHG2_SLOT;
use super::body::{CPU, Local};
use super::ops::{Context, at, bits, value_type};
use crate::cpu_state::{
    CpuState, MMU_MODES, PAGE_BITS, PAGE_MASK, SLOT_DISCARD, TLB_ENTRIES, TlbEntry,
};
use crate::ir::{MemOp, MemOpIdx, RmwOp, Temp, Type};

/// log2 of an entry's size.
const ENTRY_BITS: u32 = size_of::<TlbEntry>().ilog2();
const _: () = assert!(size_of::<TlbEntry>() == 1 << ENTRY_BITS);

/// The first of the scratch locals that groups keep their host addresses in.
const GROUP_SCRATCH: usize = 4;

/// Where in linear memory an entry is: what `base` holds and a constant.
#[derive(Clone, Copy)]
struct Entry {
    base: Local,
    offset: u64,
}

/// The type that instructions of an access work on: that of the op, which is cut or extended where
/// the access is wider.
pub fn access_type(ty: Type, mem: MemOp) -> Type {
    if mem.bytes() > 4 { Type::I64 } else { ty }
}

type Access = fn(MemArg) -> I<'static>;

/// The form of an instruction for a type and size: of type i32 with 1, 2, 4 bytes, of type i64 with
/// 1, 2, 4, 8 bytes.
fn form(forms: &[Access; 7], ty: Type, bytes: u64, at: MemArg) -> I<'static> {
    let size = bytes.ilog2().min(3) as usize;
    match ty {
        Type::I32 => forms[size.min(2)](at),
        Type::I64 => forms[3 + size](at),
    }
}

/// A load that extends as `mem` says; the byte order is little.
pub fn load_instruction(ty: Type, mem: MemOp, at: MemArg) -> I<'static> {
    const UNSIGNED: [Access; 7] = [
        I::I32Load8U,
        I::I32Load16U,
        I::I32Load,
        I::I64Load8U,
        I::I64Load16U,
        I::I64Load32U,
        I::I64Load,
    ];
    const SIGNED: [Access; 7] = [
        I::I32Load8S,
        I::I32Load16S,
        I::I32Load,
        I::I64Load8S,
        I::I64Load16S,
        I::I64Load32S,
        I::I64Load,
    ];
    let forms = if mem.is_signed() { &SIGNED } else { &UNSIGNED };
    form(forms, ty, mem.bytes(), at)
}

/// A store of the low bytes.
pub fn store_instruction(ty: Type, mem: MemOp, at: MemArg) -> I<'static> {
    const FORMS: [Access; 7] = [
        I::I32Store8,
        I::I32Store16,
        I::I32Store,
        I::I64Store8,
        I::I64Store16,
        I::I64Store32,
        I::I64Store,
    ];
    form(&FORMS, ty, mem.bytes(), at)
}

/// An atomic operation; the old value is zero-extended. None for what has no instruction.
fn rmw_instruction(rmw: RmwOp, ty: Type, mem: MemOp) -> Option<I<'static>> {
    macro_rules! forms {
        ($($narrow:ident)*; $($wide:ident)*) => { [$(I::$narrow,)* $(I::$wide,)*] };
    }
    let forms: [Access; 7] = match rmw {
        RmwOp::Xchg => forms!(
            I32AtomicRmw8XchgU I32AtomicRmw16XchgU I32AtomicRmwXchg;
            I64AtomicRmw8XchgU I64AtomicRmw16XchgU I64AtomicRmw32XchgU I64AtomicRmwXchg
        ),
        RmwOp::Add => forms!(
            I32AtomicRmw8AddU I32AtomicRmw16AddU I32AtomicRmwAdd;
            I64AtomicRmw8AddU I64AtomicRmw16AddU I64AtomicRmw32AddU I64AtomicRmwAdd
        ),
        RmwOp::And => forms!(
            I32AtomicRmw8AndU I32AtomicRmw16AndU I32AtomicRmwAnd;
            I64AtomicRmw8AndU I64AtomicRmw16AndU I64AtomicRmw32AndU I64AtomicRmwAnd
        ),
        RmwOp::Or => forms!(
            I32AtomicRmw8OrU I32AtomicRmw16OrU I32AtomicRmwOr;
            I64AtomicRmw8OrU I64AtomicRmw16OrU I64AtomicRmw32OrU I64AtomicRmwOr
        ),
        RmwOp::Xor => forms!(
            I32AtomicRmw8XorU I32AtomicRmw16XorU I32AtomicRmwXor;
            I64AtomicRmw8XorU I64AtomicRmw16XorU I64AtomicRmw32XorU I64AtomicRmwXor
        ),
        RmwOp::Smin | RmwOp::Smax | RmwOp::Umin | RmwOp::Umax => return None,
    };
    Some(form(&forms, ty, mem.bytes(), aligned(mem)))
}

fn cmpxchg_instruction(ty: Type, mem: MemOp) -> I<'static> {
    const FORMS: [Access; 7] = [
        I::I32AtomicRmw8CmpxchgU,
        I::I32AtomicRmw16CmpxchgU,
        I::I32AtomicRmwCmpxchg,
        I::I64AtomicRmw8CmpxchgU,
        I::I64AtomicRmw16CmpxchgU,
        I::I64AtomicRmw32CmpxchgU,
        I::I64AtomicRmwCmpxchg,
    ];
    form(&FORMS, ty, mem.bytes(), aligned(mem))
}

/// Guest accesses claim no alignment, but atomic ones must.
fn aligned(mem: MemOp) -> MemArg {
    MemArg {
        align: u32::from(mem.0 & 7),
        ..at(0)
    }
}

/// The TLB cannot know about it.
pub fn always_slow(oi: MemOpIdx) -> bool {
    oi.mmu_idx() >= MMU_MODES || oi.mem().bytes() > 8
}

/// Has the address of the entry that could translate `addr` in a local.
fn find_entry(cx: &mut Context<'_>, addr: Temp, oi: MemOpIdx) -> Entry {
    let offset = mode_offset(oi);
    if let Some(addr) = cx.const_value(addr) {
        let within = (CpuState::tlb_index(addr) << ENTRY_BITS) as u64;
        let offset = offset + within;
        return Entry { base: CPU, offset };
    }
    let base = cx.scratch(Type::I32, 0);
    cx.push(Type::I64, addr);
    push_entry(cx);
    cx.body.set(base);
    Entry { base, offset }
}

/// Offset of the mode's TLB.
fn mode_offset(oi: MemOpIdx) -> u64 {
    let mode = oi.mmu_idx() * size_of::<[TlbEntry; TLB_ENTRIES]>();
    (offset_of!(CpuState, tlb) + mode) as u64
}

/// Makes the entry's address, without the offset of the TLB, of the guest address on the stack.
fn push_entry(cx: &mut Context<'_>) {
    cx.push_const(Type::I64, u64::from(PAGE_BITS - ENTRY_BITS));
    cx.body.sink().i64_shr_u().i32_wrap_i64();
    cx.body.i32_const(((TLB_ENTRIES - 1) << ENTRY_BITS) as u32);
    cx.put(I::I32And);
    cx.body.get(CPU);
    cx.put(I::I32Add);
}

/// Pushes what the tag must be: the page of the access's last byte, or of its first byte with the
/// bits that must be 0.
fn push_wanted_tag(cx: &mut Context<'_>, addr: Temp, mem: MemOp, must_align: bool) {
    let last = mem.bytes() - 1;
    let (step, mask) = if must_align {
        (0, PAGE_MASK | last)
    } else {
        (last, PAGE_MASK)
    };
    if let Some(addr) = cx.const_value(addr) {
        return cx.push_const(Type::I64, addr.wrapping_add(step) & mask);
    }
    cx.push(Type::I64, addr);
    if step != 0 {
        cx.push_const(Type::I64, step);
        cx.put(I::I64Add);
    }
    cx.push_const(Type::I64, mask);
    cx.put(I::I64And);
}

/// Pushes whether the entry's tag at `tag` in it is the wanted one.
fn push_hit(cx: &mut Context<'_>, entry: Entry, tag: usize, addr: Temp, oi: MemOpIdx) {
    cx.body.get(entry.base);
    cx.put(I::I64Load(at(entry.offset + tag as u64)));
    push_wanted_tag(cx, addr, oi.mem(), oi.mem().must_align());
    cx.put(I::I64Eq);
}

/// The same for an atomic access: aligned, in a page that may be read and written.
fn push_hit_atomic(cx: &mut Context<'_>, entry: Entry, addr: Temp, oi: MemOpIdx) {
    let wanted = cx.scratch(Type::I64, 0);
    cx.body.get(entry.base);
    cx.put(I::I64Load(at(
        entry.offset + offset_of!(TlbEntry, read) as u64
    )));
    push_wanted_tag(cx, addr, oi.mem(), true);
    cx.body.tee(wanted);
    cx.put(I::I64Eq);
    cx.body.get(entry.base);
    cx.put(I::I64Load(at(
        entry.offset + offset_of!(TlbEntry, write) as u64
    )));
    cx.body.get(wanted);
    cx.put(I::I64Eq);
    cx.put(I::I32And);
}

/// Pushes the address in linear memory, after a hit.
fn push_host(cx: &mut Context<'_>, entry: Entry, addr: Temp) {
    // The low half of the addend: linear memory has 32-bit addresses.
    let addend = entry.offset + offset_of!(TlbEntry, addend) as u64;
    cx.body.get(entry.base);
    cx.put(I::I32Load(at(addend)));
    cx.push(Type::I32, addr);
    cx.put(I::I32Add);
}

/// Calls a slow path with these arguments, and leaves if it raised. The result is on the stack.
fn call_slow(cx: &mut Context<'_>, pointer: usize, args: &[Temp], constants: &[u64]) {
    cx.body.get(CPU);
    for &arg in args {
        cx.push(Type::I64, arg);
    }
    for &constant in constants {
        cx.push_const(Type::I64, constant);
    }
    cx.call_import(pointer, (args.len() + constants.len()) as u8);
    cx.leave_if_raised();
}

/// Reads or writes the number on the stack in guest order. Bytes above those of the access are 0
/// in the result, or do not matter.
fn swap_bytes(cx: &mut Context<'_>, ty: Type, mem: MemOp) {
    if !mem.is_big_endian() || mem.bytes() == 1 {
        return;
    }
    match mem.bytes() {
        8 => return bits::swap64(cx),
        bytes => {
            cx.convert(ty, Type::I32);
            match bytes {
                2 => bits::swap16(cx),
                _ => bits::swap32(cx),
            }
        }
    }
    cx.convert(Type::I32, ty);
}

/// The arm of an access that hit: the address is on the stack, but for a constant part.
struct Hit {
    host: MemArg,
    /// The local that must say what the first access of a group found.
    group: Option<Local>,
}

/// Starts an `if` whose first arm is taken when the TLB knows the page.
fn if_hit(cx: &mut Context<'_>, tag: usize, addr: Temp, oi: MemOpIdx, ty: BlockType) -> Hit {
    let Some(member) = cx.member else {
        let entry = find_entry(cx, addr, oi);
        push_hit(cx, entry, tag, addr, oi);
        cx.body.open_hinted_if(ty, true);
        push_host(cx, entry, addr);
        let host = at(0);
        return Hit { host, group: None };
    };
    let host = cx.scratch(Type::I32, GROUP_SCRATCH + member.index);
    let Some(span) = member.first else {
        cx.body.get(host);
        cx.body.open_hinted_if(ty, true);
        cx.body.get(host);
        let host = at(member.offset);
        return Hit { host, group: None };
    };
    let group = Some(host);
    let entry = find_group(cx, tag, addr, oi, member.offset, span);
    cx.body.open_hinted_if(ty, true);
    push_host(cx, entry, addr);
    push_distance(cx, member.offset);
    cx.body.tee(host);
    let host = at(member.offset);
    Hit { host, group }
}

/// The other arm.
fn if_missed(cx: &mut Context<'_>, hit: Hit) {
    cx.body.else_arm();
    if let Some(host) = hit.group {
        cx.body.i32_const(0);
        cx.body.set(host);
    }
}

/// Takes the distance of a group's first access from its lowest byte off an address.
fn push_distance(cx: &mut Context<'_>, distance: u64) {
    if distance != 0 {
        cx.body.i32_const(distance as u32);
        cx.put(I::I32Sub);
    }
}

/// Pushes whether the TLB has all the `span` bytes of a group, of which `addr` is `distance`
/// bytes from the lowest. The tag's page is that of the highest byte, the entry that of the lowest:
/// they only fit together if there is no border between.
fn find_group(
    cx: &mut Context<'_>,
    tag: usize,
    addr: Temp,
    oi: MemOpIdx,
    distance: u64,
    span: u64,
) -> Entry {
    let base = cx.scratch(Type::I32, 0);
    push_sum(cx, addr, distance.wrapping_neg());
    push_entry(cx);
    cx.body.set(base);
    let offset = mode_offset(oi);
    cx.body.get(base);
    cx.put(I::I64Load(at(offset + tag as u64)));
    push_sum(cx, addr, (span - 1).wrapping_sub(distance));
    cx.push_const(Type::I64, PAGE_MASK);
    cx.put(I::I64And);
    cx.put(I::I64Eq);
    Entry { base, offset }
}

/// Pushes a guest address plus a constant.
fn push_sum(cx: &mut Context<'_>, addr: Temp, distance: u64) {
    cx.push(Type::I64, addr);
    if distance != 0 {
        cx.push_const(Type::I64, distance);
        cx.put(I::I64Add);
    }
}

/// `qemu_ld`
pub fn load(cx: &mut Context<'_>, ty: Type, d: Temp, addr: Temp, oi: MemOpIdx) {
    let slow = cx.options.slow_paths.load;
    let constants = [oi.0.into()];
    if always_slow(oi) {
        call_slow(cx, slow, &[addr], &constants);
        return cx.pop(Type::I64, d);
    }
    let mem = oi.mem();
    let ty = access_type(ty, mem);
    let result = BlockType::Result(value_type(ty));
    let hit = if_hit(cx, offset_of!(TlbEntry, read), addr, oi, result);
    if mem.is_big_endian() {
        cx.put(load_instruction(ty, MemOp(mem.0 & 7), hit.host));
        swap_bytes(cx, ty, mem);
        extend(cx, ty, mem);
    } else {
        cx.put(load_instruction(ty, mem, hit.host));
    }
    if_missed(cx, hit);
    call_slow(cx, slow, &[addr], &constants);
    cx.convert(Type::I64, ty);
    cx.body.close();
    cx.pop(ty, d);
}

/// Extends the zero-extended number on the stack if the access is signed.
fn extend(cx: &mut Context<'_>, ty: Type, mem: MemOp) {
    if mem.is_signed() {
        bits::sign_extend(cx, ty, mem.bytes());
    }
}

/// `qemu_st`
pub fn store(cx: &mut Context<'_>, ty: Type, v: Temp, addr: Temp, oi: MemOpIdx) {
    let slow = cx.options.slow_paths.store;
    let mem = oi.mem();
    let inline = !always_slow(oi);
    if inline {
        let ty = access_type(ty, mem);
        let hit = if_hit(cx, offset_of!(TlbEntry, write), addr, oi, BlockType::Empty);
        cx.push(ty, v);
        swap_bytes(cx, ty, mem);
        cx.put(store_instruction(ty, mem, hit.host));
        if_missed(cx, hit);
    }
    call_slow(cx, slow, &[addr, v], &[oi.0.into()]);
    cx.put(I::Drop);
    if inline {
        cx.body.close();
    }
}

const fn slot(slot: u8) -> u64 {
    (offset_of!(CpuState, slots) + 8 * slot as usize) as u64
}

/// Takes the result of a slow path with two: one from the stack, one from its slot.
fn pop_pair(cx: &mut Context<'_>, ty: Type, [dl, dh]: [Temp; 2]) {
    cx.convert(Type::I64, ty);
    cx.pop(ty, dl);
    cx.body.get(CPU);
    cx.put(I::I64Load(at(slot(SLOT_DISCARD))));
    cx.convert(Type::I64, ty);
    cx.pop(ty, dh);
}

/// `qemu_ld2`
pub fn load2(cx: &mut Context<'_>, ty: Type, d: [Temp; 2], addr: Temp, oi: MemOpIdx) {
    let slow = cx.options.slow_paths.load2;
    call_slow(cx, slow, &[addr], &[oi.0.into()]);
    pop_pair(cx, ty, d);
}

/// `qemu_st2`
pub fn store2(cx: &mut Context<'_>, [low, high]: [Temp; 2], addr: Temp, oi: MemOpIdx) {
    let slow = cx.options.slow_paths.store2;
    call_slow(cx, slow, &[addr, low, high], &[oi.0.into()]);
    cx.put(I::Drop);
}

/// `atomic_cmpxchg2`
pub fn cmpxchg2(
    cx: &mut Context<'_>,
    ty: Type,
    d: [Temp; 2],
    addr: Temp,
    operands: [Temp; 4],
    oi: MemOpIdx,
) {
    for (index, operand) in (CMPXCHG2_SLOT..).zip(operands) {
        cx.body.get(CPU);
        cx.push(Type::I64, operand);
        cx.put(I::I64Store(at(slot(index))));
    }
    let slow = cx.options.slow_paths.cmpxchg2;
    call_slow(cx, slow, &[addr], &[oi.0.into()]);
    pop_pair(cx, ty, d);
}

/// `atomic_cmpxchg`
pub fn cmpxchg(
    cx: &mut Context<'_>,
    ty: Type,
    d: Temp,
    addr: Temp,
    operands: [Temp; 2],
    oi: MemOpIdx,
) {
    let slow = cx.options.slow_paths.cmpxchg;
    let [expected, new] = operands;
    let mem = oi.mem();
    let inline =
        (!always_slow(oi) && !mem.is_big_endian()).then_some(|cx: &mut Context<'_>, ty| {
            // The comparison is with the zero-extended value, in all bits.
            cx.push(ty, expected);
            bits::extract(cx, ty, 0, 8 * mem.bytes() as u8);
            cx.push(ty, new);
            cx.put(cmpxchg_instruction(ty, mem));
        });
    let slow = (slow, &[addr, expected, new][..], &[oi.0.into()][..]);
    atomic(cx, ty, d, oi, inline, slow);
}

/// `atomic_rmw`
pub fn rmw(cx: &mut Context<'_>, ty: Type, d: Temp, addr: Temp, v: Temp, rmw: RmwOp, oi: MemOpIdx) {
    let slow = cx.options.slow_paths.rmw;
    let mem = oi.mem();
    let usable = !always_slow(oi) && !mem.is_big_endian();
    let instruction = rmw_instruction(rmw, access_type(ty, mem), mem).filter(|_| usable);
    let inline = instruction.map(|instruction| {
        move |cx: &mut Context<'_>, ty| {
            cx.push(ty, v);
            cx.put(instruction);
        }
    });
    let slow = (slow, &[addr, v][..], &[rmw as u64, oi.0.into()][..]);
    atomic(cx, ty, d, oi, inline, slow);
}

/// An atomic access: `inline` pushes its operands behind the address, and the instruction; without
/// it the slow path is always called, which is given with its arguments, the address first.
fn atomic(
    cx: &mut Context<'_>,
    ty: Type,
    d: Temp,
    oi: MemOpIdx,
    inline: Option<impl FnOnce(&mut Context<'_>, Type)>,
    (pointer, args, constants): (usize, &[Temp], &[u64]),
) {
    let Some(inline) = inline else {
        call_slow(cx, pointer, args, constants);
        return cx.pop(Type::I64, d);
    };
    let addr = args[0];
    let ty = access_type(ty, oi.mem());
    let entry = find_entry(cx, addr, oi);
    push_hit_atomic(cx, entry, addr, oi);
    cx.body
        .open_hinted_if(BlockType::Result(value_type(ty)), true);
    push_host(cx, entry, addr);
    inline(cx, ty);
    extend(cx, ty, oi.mem());
    cx.body.else_arm();
    call_slow(cx, pointer, args, constants);
    cx.convert(Type::I64, ty);
    cx.body.close();
    cx.pop(ty, d);
}
