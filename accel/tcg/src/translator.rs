//! From guest code in RAM to a block in the cache.
//!
//! A block lies in one guest page, except that an instruction which crosses into the next page
//! makes a block of its own. So a block is found by the physical address of its start, and the
//! second page of such a block is compared at lookup.

use tcg::builder::{Builder, Function};
use tcg::cpu_state::PAGE_MASK;
use tcg::ir::{OpKind, OpVisitor, TbExit, Type};
use tcg::tb::TB_CF_ACCEL_SHIFT;
use tcg::{CompileOptions, CompiledBlock, Compiler};
use util::log::Item;

use crate::guest::{Access, GuestCpu, TranslateContext, TranslateEnd};
use crate::jit::NEVER;
use crate::ldst;
use crate::machine::Machine;
use crate::tb_cache::{CodeRange, InsertError, NewBlock};
use crate::tb_hash::Key;
use crate::tb_ref::TbRef;
use crate::tlb::{Page, PageRam};

/// Most guest instructions in a block.
pub(crate) const TB_INSNS_MAX: u32 = 256;
/// A block gets no further instruction once it has this many ops.
const TB_OPS_MAX: usize = 1500;

/// Bits of `cflags` that are the accelerator's: the most instructions (0 is no limit)...
const COUNT_SHIFT: u32 = TB_CF_ACCEL_SHIFT;
const COUNT_MASK: u32 = 0x1ff;
/// ... and that the block always returns to the execution loop.
pub(crate) const CF_NO_CHAIN: u32 = 1 << (TB_CF_ACCEL_SHIFT + 9);

/// `cflags` of a block of at most `count` instructions.
pub(crate) const fn count_flags(count: u32) -> u32 {
    (count & COUNT_MASK) << COUNT_SHIFT
}

/// Why there is no block yet.
pub(crate) enum Failure {
    /// An exception is pending: the instruction cannot be fetched.
    Fault,
    /// This RAM page must be protected first (`TbCache::mark`).
    Protect(u32),
    /// The code buffer must be flushed first.
    Full,
}

/// Working memory that lasts from block to block.
#[derive(Default)]
pub(crate) struct Scratch {
    compiler: Compiler,
    function: Function,
}

impl Scratch {
    /// A builder of an empty function over the guest's globals.
    fn builder<G: GuestCpu>(&mut self) -> Builder {
        let mut function = std::mem::take(&mut self.function);
        if function.temps.len() < G::globals().len() {
            return Builder::new(G::globals());
        }
        function.temps.truncate(G::globals().len());
        function.ops.clear();
        function.labels = 0;
        Builder { function }
    }
}

/// Where a block starts.
#[derive(Clone, Copy)]
pub(crate) struct Start {
    pub(crate) key: Key,
    pub(crate) ram: PageRam,
    pub(crate) mmu_idx: usize,
}

/// What the guest's translator made, before compilation.
struct Draft {
    builder: Builder,
    /// Of each instruction, how far behind the first.
    offsets: Vec<u16>,
    bytes: u16,
    second: Option<PageRam>,
}

/// Pages whose `TbCache::begin` must be followed by `end`.
struct Begun<'a, G> {
    machine: &'a Machine<G>,
    pages: [Option<(u32, u64)>; 2],
}

impl<G> Begun<'_, G> {
    fn begin(&mut self, which: usize, page: u32) -> Result<(), Failure> {
        let version = self
            .machine
            .tbs
            .begin(page)
            .map_err(|_| Failure::Protect(page))?;
        self.pages[which] = Some((page, version));
        Ok(())
    }

    fn versions(&self) -> [u64; 2] {
        self.pages
            .map(|page| page.map_or(0, |(_, version)| version))
    }
}

impl<G> Drop for Begun<'_, G> {
    fn drop(&mut self) {
        for (page, _) in self.pages.iter().flatten() {
            self.machine.tbs.end(*page);
        }
    }
}

/// Translates the block at `start` and enters it into the cache.
pub(crate) fn generate<G: GuestCpu>(
    machine: &Machine<G>,
    scratch: &mut Scratch,
    cpu: &mut G,
    start: &Start,
) -> Result<TbRef, Failure> {
    loop {
        let mut begun = Begun {
            machine,
            pages: [None; 2],
        };
        begun.begin(0, start.ram.index)?;
        let (draft, compiled) = translate(machine, scratch, cpu, start, &mut begun)?;
        let new = NewBlock {
            key: start.key,
            compiled,
            ranges: ranges(start, &draft),
            icount: draft.offsets.len() as u32,
            insn_offsets: if machine.counts() {
                draft.offsets
            } else {
                Vec::new()
            },
            ram: start.ram,
            exec_count: if start.key.cflags & CF_NO_CHAIN == 0 {
                machine.hot_count()
            } else {
                NEVER
            },
        };
        match machine.tbs.insert(new, begun.versions()) {
            Ok(tb) => return Ok(tb),
            Err(InsertError::Full) => return Err(Failure::Full),
            // Somebody stored to the code meanwhile: once more.
            Err(InsertError::Stale) => drop(begun),
        }
    }
}

/// Which bytes of RAM the block was made from.
fn ranges(start: &Start, draft: &Draft) -> [CodeRange; 2] {
    let offset = (start.key.phys & !PAGE_MASK) as u16;
    let end = offset + draft.bytes;
    let first = CodeRange {
        page: start.ram.index,
        start: offset,
        end: end.min(4096),
    };
    let second = draft.second.map(|ram| CodeRange {
        page: ram.index,
        start: 0,
        end: end - 4096,
    });
    [first, second.unwrap_or(CodeRange::NONE)]
}

/// Translates with fewer and fewer instructions until the back end takes it.
fn translate<G: GuestCpu>(
    machine: &Machine<G>,
    scratch: &mut Scratch,
    cpu: &mut G,
    start: &Start,
    begun: &mut Begun<'_, G>,
) -> Result<(Draft, CompiledBlock), Failure> {
    let asked = start.key.cflags >> COUNT_SHIFT & COUNT_MASK;
    let mut most = if asked == 0 {
        TB_INSNS_MAX
    } else {
        asked.min(TB_INSNS_MAX)
    };
    loop {
        let builder = scratch.builder::<G>();
        let mut second = |cpu: &mut G, border| second_page(cpu, start, border, begun);
        let mut draft = draft(machine, builder, cpu, start, most, &mut second)?;
        let count = draft.offsets.len() as u32;
        let options = CompileOptions {
            pc_slot: machine.pc_slot,
            icount: machine.counts().then_some(count),
        };
        log_draft(machine, &draft, start, Item::Op, "OP");
        let function = &mut draft.builder.function;
        let compiled = scratch
            .compiler
            .compile(function, &machine.helpers, &options);
        log_draft(machine, &draft, start, Item::OpOpt, "OP after optimization");
        scratch.function = std::mem::take(&mut draft.builder.function);
        match compiled {
            Ok(compiled) => {
                if util::log::enabled(Item::OutAsm) && util::log::in_filter(start.key.pc) {
                    let text = tcg::tci::disas::disassemble(&compiled.code);
                    util::log::write(format_args!(
                        "OUT: [words={}]\n{text}\n",
                        compiled.code.len()
                    ));
                }
                return Ok((draft, compiled));
            }
            Err(error) => {
                assert!(count > 1, "one instruction at {:#x}: {error}", start.key.pc);
                most = count / 2;
            }
        }
    }
}

/// The page that the first instruction reaches into, as a page that is being translated.
fn second_page<G: GuestCpu>(
    cpu: &mut G,
    start: &Start,
    border: u64,
    begun: &mut Begun<'_, G>,
) -> Result<PageRam, Failure> {
    let ram = fetch_page(cpu, border, start.mmu_idx)?.1;
    if begun.pages[1].is_none() {
        begun.begin(1, ram.index)?;
    }
    Ok(ram)
}

/// The optimized IR of a block that is in the cache, made anew from the guest's code, and the
/// number of its second page, as it is mapped now; `None` if that is not in the TLB any more. The
/// caller makes sure that the block is still valid then.
pub(crate) fn again<G: GuestCpu>(
    machine: &Machine<G>,
    compiler: &mut Compiler,
    cpu: &mut G,
    start: &Start,
    insns: u32,
) -> Option<(Function, u32)> {
    let mut second = |cpu: &mut G, border| {
        let page = cpu
            .common_mut()
            .tlb_lookup(border, Access::Fetch, start.mmu_idx);
        page.and_then(|page| page.ram).ok_or(Failure::Fault)
    };
    let builder = Builder::new(G::globals());
    let mut draft = draft(machine, builder, cpu, start, insns, &mut second).ok()?;
    let function = &mut draft.builder.function;
    compiler.optimize(function, &machine.helpers);
    let function = std::mem::take(function);
    Some((function, ranges(start, &draft)[1].page))
}

/// How to get at the page that the first instruction reaches into, by its address.
type SecondPage<'a, G> = &'a mut dyn FnMut(&mut G, u64) -> Result<PageRam, Failure>;

/// One pass of the guest's translator.
fn draft<G: GuestCpu>(
    machine: &Machine<G>,
    builder: Builder,
    cpu: &mut G,
    start: &Start,
    most: u32,
    second: SecondPage<'_, G>,
) -> Result<Draft, Failure> {
    let first = start.key.pc;
    let mut draft = Draft {
        builder,
        offsets: Vec::new(),
        bytes: 0,
        second: None,
    };
    let log = util::log::enabled(Item::InAsm) && util::log::in_filter(first);
    let mut text = String::new();
    loop {
        let pc = first.wrapping_add(draft.bytes.into());
        let Some((insn, length)) = fetch(cpu, start, pc, &mut draft, second)? else {
            // What follows lies on two pages, and no exit is linked to such a block.
            finish(machine, &mut draft, pc, false);
            break;
        };
        if log {
            let hex = format!("{insn:0width$x}", width = 2 * length);
            let name = G::disassemble(pc, insn, length);
            text += &format!("{pc:#018x}:  {hex:<8}  {name}\n");
        }
        draft.offsets.push(draft.bytes);
        draft.bytes += length as u16;
        draft.builder.insn_start(Type::I64, pc, 0);
        let end = cpu.translate_insn(
            &mut TranslateContext {
                builder: &mut draft.builder,
                pc_first: first,
                pc,
                tb_flags: start.key.flags,
                may_chain,
                icount: machine.config.icount.is_some(),
            },
            insn,
            length,
        );
        let next = first.wrapping_add(draft.bytes.into());
        let full = draft.offsets.len() as u32 >= most
            || draft.builder.function.ops.len() >= TB_OPS_MAX
            || (next ^ first) & PAGE_MASK != 0;
        match end {
            TranslateEnd::NoReturn => break,
            TranslateEnd::Next if !full => (),
            TranslateEnd::Next | TranslateEnd::TooMany => {
                finish(machine, &mut draft, next, may_chain(first, next));
                break;
            }
        }
    }
    if log {
        util::log::write(format_args!("----------------\nIN:\n{text}\n"));
    }
    if start.key.cflags & CF_NO_CHAIN != 0 {
        unchain(&mut draft.builder);
    }
    Ok(draft)
}

/// The instruction at `pc` and its length; `None` ends the block in front of it.
fn fetch<G: GuestCpu>(
    cpu: &mut G,
    start: &Start,
    pc: u64,
    draft: &mut Draft,
    second: SecondPage<'_, G>,
) -> Result<Option<(u64, usize)>, Failure> {
    let (mut bytes, here) = start.ram.host.fetch(pc);
    let fits = |length: &usize| *length <= here;
    if let Some(length) = G::insn_length(&bytes[..here]).filter(fits) {
        return Ok(Some((cut(bytes, length), length)));
    }
    if draft.bytes != 0 {
        return Ok(None);
    }
    let border = (pc & PAGE_MASK).wrapping_add(!PAGE_MASK + 1);
    let ram = second(cpu, border)?;
    let (more, _) = ram.host.fetch(border);
    bytes[here..].copy_from_slice(&more[..8 - here]);
    let length = G::insn_length(&bytes).unwrap_or(8).min(8);
    draft.second = Some(ram);
    Ok(Some((cut(bytes, length), length)))
}

fn cut(bytes: [u8; 8], length: usize) -> u64 {
    let unused = 64 - 8 * length.clamp(1, 8) as u32;
    u64::from_le_bytes(bytes) << unused >> unused
}

/// A page that may be executed, and the RAM behind it.
pub(crate) fn fetch_page<G: GuestCpu>(
    cpu: &mut G,
    pc: u64,
    mmu_idx: usize,
) -> Result<(Page, PageRam), Failure> {
    let page = ldst::translate(cpu, pc, Access::Fetch, mmu_idx).map_err(|_| Failure::Fault)?;
    match page.ram {
        Some(ram) => Ok((page, ram)),
        None => {
            // Nothing runs code out of device registers.
            cpu.raise_bus_error(include::VirtAddr(pc), Access::Fetch);
            Err(Failure::Fault)
        }
    }
}

fn may_chain(pc_first: u64, dest: u64) -> bool {
    (pc_first ^ dest) & PAGE_MASK == 0
}

/// Ends a block that goes on at `next`, by a link if that may be.
fn finish<G>(machine: &Machine<G>, draft: &mut Draft, next: u64, chain: bool) {
    let builder = &mut draft.builder;
    if chain {
        builder.goto_tb(Type::I64, 0);
    }
    let pc = builder.constant(Type::I64, next);
    builder.mov(Type::I64, machine.pc_temp, pc);
    match chain {
        true => builder.exit_tb(Type::I64, TbExit::Slot(0)),
        false => builder.goto_ptr(Type::I64),
    }
}

/// Makes all ways out of the block lead to the execution loop.
fn unchain(builder: &mut Builder) {
    let ops = &mut builder.function.ops;
    ops.retain(|op| !matches!(op.kind, OpKind::GotoTb { .. }));
    for op in ops {
        if matches!(op.kind, OpKind::GotoPtr {}) {
            op.kind = OpKind::ExitTb { exit: TbExit::Main };
        }
    }
}

fn log_draft<G: GuestCpu>(
    machine: &Machine<G>,
    draft: &Draft,
    start: &Start,
    item: Item,
    title: &str,
) {
    if util::log::enabled(item) && util::log::in_filter(start.key.pc) {
        let function = &draft.builder.function;
        let text = tcg::printer::print(function, G::globals(), &machine.helpers);
        util::log::write(format_args!("{title}:{text}\n"));
    }
}
