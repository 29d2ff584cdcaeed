//! The TCG accelerator, as the machine's [`Accelerator`].

use std::sync::Arc;

use accel_tcg::{
    Access, GuestCpu, IcountClock, IcountConfig, IcountHooks, JitConfig, TbCache, TcgAccel,
    TcgConfig, Threads, has_wasm_engine,
};
use guest_riscv::RiscvCpu;
use include::{ClockType, PhysAddr, Timer, VirtAddr};
use util::log::Item;
use util::timer::Timers;

use super::symbols::Symbols;
use super::{Accelerator, sampling};
use crate::options::{self, Backend, Icount, Options};

struct Tcg {
    accel: Arc<TcgAccel<RiscvCpu>>,
    blocks: Arc<TbCache>,
    symbols: Symbols,
    /// Its timer asks for samples as long as it is there.
    _sampling: Arc<dyn Timer>,
}

/// The main loop's virtual timers, run on the vCPU thread.
struct VirtualTimers(Arc<Timers>);

impl IcountHooks for VirtualTimers {
    fn next_deadline_ns(&self) -> Option<i64> {
        self.0.next_deadline_ns(ClockType::Virtual)
    }

    fn run_due_timers(&self) {
        self.0.run_due(ClockType::Virtual);
    }
}

/// See [`super::MakeAccelerator`].
pub fn make(
    options: &Options,
    cpus: Vec<Box<RiscvCpu>>,
    timers: &Arc<Timers>,
) -> Result<Arc<dyn Accelerator>, String> {
    let perf = util::log::enabled(Item::Perf);
    let symbols = match &options.accel.symbols {
        Some(path) => Symbols::read(path).map_err(|error| format!("-accel tcg,symbols={error}"))?,
        None => Symbols::default(),
    };
    let size = options.accel.tb_size.unwrap_or(0);
    let icount = options.icount.map(|icount| counting(icount, timers));
    let config = TcgConfig {
        threads: match options.accel.multi_thread {
            Some(false) => Threads::Single,
            Some(true) | None => Threads::Multi,
        },
        tb_size: usize::try_from(size).map_err(|_| "-accel tcg: tb-size is too much here")?,
        one_insn_per_tb: options.accel.one_insn_per_tb,
        jit: jit(&options.accel)?,
        profile: perf,
        icount: icount.clone(),
    };
    let accel = TcgAccel::new(config, cpus).map_err(|error| format!("-accel tcg: {error}"))?;
    let accel = Arc::new(accel);
    if let Some(icount) = icount {
        let kicked = accel.clone();
        let now_ns = move || icount.clock.now_ns();
        timers.set_virtual_source(now_ns, move || kicked.notify_timers());
    }
    let blocks = accel.tb_cache();
    let period_ns = if perf {
        sampling::OFTEN_NS
    } else {
        sampling::SELDOM_NS
    };
    Ok(Arc::new(Tcg {
        _sampling: sampling::start(&accel, timers, period_ns),
        accel,
        blocks,
        symbols,
    }))
}

/// How hot code becomes WebAssembly, if it does.
fn jit(accel: &options::Accel) -> Result<Option<JitConfig>, String> {
    let wanted = match accel.backend {
        Backend::Tci => false,
        Backend::Auto => has_wasm_engine(),
        Backend::Wasm32 if has_wasm_engine() => true,
        Backend::Wasm32 => {
            return Err(
                "-accel tcg: the back end 'wasm32' needs a WebAssembly engine around the \
                        program, which a native one has not; use backend=tci"
                    .into(),
            );
        }
    };
    let usual = JitConfig::default();
    Ok(wanted.then(|| JitConfig {
        threshold: accel.threshold.unwrap_or(usual.threshold),
        max_instances: accel
            .max_instances
            .map_or(usual.max_instances, |max| max as usize),
    }))
}

fn counting(icount: Icount, timers: &Arc<Timers>) -> IcountConfig {
    IcountConfig {
        clock: IcountClock::new(icount.shift.into()),
        sleep: icount.sleep,
        hooks: Arc::new(VirtualTimers(timers.clone())),
    }
}

impl Accelerator for Tcg {
    fn start(&self) {
        self.accel.start();
    }

    fn resume(&self) {
        self.accel.resume();
    }

    fn pause(&self) {
        self.accel.pause();
    }

    fn reset(&self, pc: PhysAddr) {
        self.accel.request_reset(pc.0);
    }

    fn quit(&self) {
        self.accel.quit();
        self.accel.join();
        let profile = || self.accel.profile(&|address| self.symbols.name(address));
        util::qemu_log!(Item::Perf, "{}", profile());
    }

    fn ram_written(&self, first_page: u32, count: u32) {
        self.blocks.ram_written(first_page, count);
    }

    fn cpu_count(&self) -> usize {
        self.accel.vcpus().len()
    }

    fn registers(&self, cpu: usize) -> String {
        self.accel
            .run_on_cpu(cpu, |cpu| cpu.dump())
            .unwrap_or_default()
    }

    fn register(&self, cpu: usize, name: &str) -> Option<u64> {
        let name = name.to_string();
        self.accel
            .run_on_cpu(cpu, move |cpu| register(cpu, &name))
            .flatten()
    }

    fn translate(&self, cpu: usize, addr: VirtAddr) -> Option<PhysAddr> {
        let probe = move |cpu: &mut RiscvCpu| {
            let mode = cpu.fetch_mmu_idx();
            cpu.tlb_fill(addr, Access::Load, mode, true)
                .ok()
                .map(|fill| fill.paddr)
        };
        self.accel.run_on_cpu(cpu, probe).flatten()
    }

    fn stats(&self) -> String {
        self.accel.stats().to_string()
    }
}

/// `pc`, or a general register as `x5`.
fn register(cpu: &RiscvCpu, name: &str) -> Option<u64> {
    match name.strip_prefix('x') {
        Some(number) => number.parse().ok().filter(|n| *n < 32).map(|n| cpu.x(n)),
        None => (name == "pc").then(|| cpu.pc()),
    }
}
