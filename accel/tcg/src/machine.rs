//! What all vCPU threads of one accelerator share.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};
use tcg::ir::{HelperInfo, Temp};

use crate::cpu::VcpuShared;
use crate::exclusive::Exclusive;
use crate::guest::GuestCpu;
use crate::icount::{IcountClock, IcountHooks};
use crate::jit::{Jit, JitConfig, NEVER};
use crate::profile::Profile;
use crate::tb_cache::TbCache;
use crate::tb_ref;
use crate::translator::{CF_NO_CHAIN, count_flags};

/// One thread per vCPU, or one for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Threads {
    #[default]
    Multi,
    Single,
}

/// `-icount`.
#[derive(Clone)]
pub struct IcountConfig {
    pub clock: Arc<IcountClock>,
    /// Whether time that nobody computes in passes as fast as the host's (`sleep=on`).
    pub sleep: bool,
    pub hooks: Arc<dyn IcountHooks>,
}

/// `-accel tcg,...` and what belongs to it.
#[derive(Clone, Default)]
pub struct TcgConfig {
    pub threads: Threads,
    /// Bytes for translated code; 0 is the default.
    pub tb_size: usize,
    pub one_insn_per_tb: bool,
    /// Hot code becomes WebAssembly. Only where [`crate::has_wasm_engine`] says so.
    pub jit: Option<JitConfig>,
    /// Samples are kept by guest address, for [`crate::TcgAccel::profile`].
    pub profile: bool,
    /// Makes it one thread for all vCPUs.
    pub icount: Option<IcountConfig>,
}

/// `tb-size` when nobody says it.
const TB_SIZE_DEFAULT: usize = 64 << 20;

/// Why there is no accelerator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("tb-size={0}: the host has not that much memory for translated code")]
    CodeBuffer(usize),
    #[error("a machine has at least one vCPU and at most {}", MAX_CPUS)]
    CpuCount,
}

/// vCPUs that the TB header has counters for.
pub const MAX_CPUS: usize = tcg::tb::TB_THREADS_MAX as usize - 1;

/// Something for a vCPU to do between blocks.
pub(crate) type Work<G> = Box<dyn FnOnce(&mut G) + Send>;

/// See the module's text.
pub(crate) struct Machine<G> {
    pub(crate) config: TcgConfig,
    pub(crate) tbs: Arc<TbCache>,
    pub(crate) exclusive: Exclusive,
    pub(crate) helpers: Vec<HelperInfo>,
    pub(crate) jit: Option<Arc<Jit>>,
    pub(crate) profile: Profile,
    /// The temp and the slot of the guest's pc.
    pub(crate) pc_temp: Temp,
    pub(crate) pc_slot: u8,
    /// By vCPU.
    pub(crate) work: Vec<Mutex<VecDeque<Work<G>>>>,
    pub(crate) pausing: AtomicBool,
    pub(crate) quitting: AtomicBool,
    /// Threads that noticed `pausing` and do nothing.
    pub(crate) parked: Mutex<usize>,
    pub(crate) parked_changed: Condvar,
}

impl<G: GuestCpu> Machine<G> {
    /// Makes the vCPUs part of a new accelerator.
    pub(crate) fn new(config: TcgConfig, cpus: &mut [Box<G>]) -> Result<Self, Error> {
        let first = cpus.first().ok_or(Error::CpuCount)?;
        if cpus.len() > MAX_CPUS {
            return Err(Error::CpuCount);
        }
        let size = if config.tb_size == 0 {
            TB_SIZE_DEFAULT
        } else {
            config.tb_size
        };
        let tbs = TbCache::new(first.common().memory.ram_pages(), size);
        let tbs = Arc::new(tbs.ok_or(Error::CodeBuffer(size))?);
        let vcpus: Vec<_> = cpus.iter().map(|cpu| cpu.common().shared.clone()).collect();
        tbs.set_vcpus(vcpus.clone());
        let pc_temp = G::globals().iter().position(|g| g.name == "pc");
        let pc_temp = pc_temp.expect("the guest's globals have a pc");
        let machine = Self {
            tbs,
            work: vcpus.iter().map(|_| Mutex::default()).collect(),
            exclusive: Exclusive::new(vcpus),
            profile: Profile::new(config.profile),
            jit: config.jit.map(|jit| Arc::new(Jit::new::<G>(jit))),
            helpers: G::helpers().iter().map(|row| row.info()).collect(),
            pc_temp: Temp(pc_temp as u16),
            pc_slot: G::globals()[pc_temp].slot,
            config,
            pausing: AtomicBool::new(true),
            quitting: AtomicBool::new(false),
            parked: Mutex::new(0),
            parked_changed: Condvar::new(),
        };
        cpus.iter_mut().for_each(|cpu| machine.adopt(cpu));
        Ok(machine)
    }

    fn adopt(&self, cpu: &mut G) {
        tb_ref::check_layout(cpu);
        let parallel = self.is_parallel();
        let common = cpu.common_mut();
        common.tbs = Some(self.tbs.clone());
        common.icount = self
            .config
            .icount
            .as_ref()
            .map(|icount| icount.clock.clone());
        common.parallel = parallel;
        let thread = if self.takes_turns() {
            0
        } else {
            common.shared.index
        };
        common.state.tb_instance_offset = tcg::tb::instance_offset(thread);
        common.tlb_flush();
    }

    /// All vCPUs take turns in one thread.
    pub(crate) fn takes_turns(&self) -> bool {
        self.config.threads == Threads::Single || self.config.icount.is_some()
    }

    fn is_parallel(&self) -> bool {
        !self.takes_turns() && self.exclusive.vcpus().len() > 1
    }

    /// Blocks count their instructions: for `-icount`, or to know when a turn ends.
    pub(crate) fn counts(&self) -> bool {
        self.config.icount.is_some() || (self.takes_turns() && self.exclusive.vcpus().len() > 1)
    }

    /// How many threads run vCPUs.
    pub(crate) fn threads(&self) -> usize {
        match self.takes_turns() {
            true => 1,
            false => self.exclusive.vcpus().len(),
        }
    }

    /// Interpreted executions after which a block is hot: with a threshold of 1, none.
    pub(crate) fn hot_count(&self) -> u32 {
        self.config.jit.map_or(NEVER, |jit| jit.threshold - 1)
    }

    /// Whether a vCPU's thread has something else to do than run it.
    pub(crate) fn wants(&self, vcpu: &VcpuShared) -> bool {
        vcpu.work_pending.load(Ordering::SeqCst)
            || self.pausing.load(Ordering::SeqCst)
            || self.quitting.load(Ordering::SeqCst)
    }

    /// Queues work for a vCPU and wakes it.
    pub(crate) fn queue(&self, index: usize, work: Work<G>) {
        self.work[index].lock().push_back(work);
        let vcpu = &self.exclusive.vcpus()[index];
        vcpu.work_pending.store(true, Ordering::SeqCst);
        vcpu.kick();
        if self.quitting.load(Ordering::SeqCst) {
            self.drop_work(index);
        }
    }

    /// The vCPU's thread ended, or will: whoever waits for work to be done shall not.
    pub(crate) fn drop_work(&self, index: usize) {
        let queue = std::mem::take(&mut *self.work[index].lock());
        drop(queue);
    }

    /// Does what is queued for the vCPU, on its thread.
    pub(crate) fn do_work(&self, cpu: &mut G) {
        let shared = cpu.common().shared.clone();
        while shared.work_pending.swap(false, Ordering::SeqCst) {
            let queue = std::mem::take(&mut *self.work[shared.index].lock());
            queue.into_iter().for_each(|work| work(cpu));
        }
    }
}

impl<G> Machine<G> {
    /// What blocks are made for now, beside the guest's flags.
    pub(crate) fn cflags(&self) -> u32 {
        use util::log::{Item, enabled};
        let count = if self.config.one_insn_per_tb {
            count_flags(1)
        } else {
            0
        };
        count
            | if enabled(Item::NoChain) {
                CF_NO_CHAIN
            } else {
                0
            }
    }
}
