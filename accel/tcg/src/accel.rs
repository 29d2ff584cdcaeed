//! The accelerator as the rest of the machine sees it: starts, pauses, resets and ends the vCPUs.
//!
//! Its methods are for threads other than the vCPUs' own (the main loop's): some wait for a vCPU.

use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use parking_lot::Mutex;

use crate::cpu::{Sleeper, VcpuShared};
use crate::guest::GuestCpu;
use crate::machine::{Error, Machine, TcgConfig};
use crate::stats::{CpuStats, Stats};
use crate::tb_cache::TbCache;
use crate::vcpus::Thread;

/// Bytes of stack for a vCPU's thread.
const STACK_BYTES: usize = 4 << 20;

/// Where the vCPUs are.
enum Place<G> {
    /// Not started, or ended.
    Here(Vec<Box<G>>),
    Running(Vec<JoinHandle<Vec<Box<G>>>>),
}

/// See the module's text.
pub struct TcgAccel<G> {
    machine: Arc<Machine<G>>,
    sleepers: Vec<Arc<Sleeper>>,
    place: Mutex<Place<G>>,
}

impl<G: GuestCpu> TcgAccel<G> {
    /// An accelerator for these vCPUs, whose indices are 0, 1, ... in this order. They stand still.
    pub fn new(config: TcgConfig, mut cpus: Vec<Box<G>>) -> Result<Self, Error> {
        let machine = Arc::new(Machine::new(config, &mut cpus)?);
        let vcpus = machine.exclusive.vcpus();
        let in_order = vcpus.iter().enumerate().all(|(i, vcpu)| vcpu.index == i);
        assert!(in_order, "vCPUs are numbered in order");
        let one_thread = machine.takes_turns();
        let threads = if one_thread { 1 } else { vcpus.len() };
        let sleepers: Vec<_> = (0..threads).map(|_| Arc::<Sleeper>::default()).collect();
        for (vcpu, i) in vcpus.iter().zip(0..) {
            let sleeper = &sleepers[if one_thread { 0 } else { i }];
            vcpu.sleeper.get_or_init(|| sleeper.clone());
            if one_thread {
                sleeper
                    .turns
                    .get_or_init(|| vcpus.iter().map(Arc::downgrade).collect());
            }
        }
        Ok(Self {
            machine,
            sleepers,
            place: Mutex::new(Place::Here(cpus)),
        })
    }

    /// Starts the vCPU threads, paused: [`TcgAccel::resume`] lets them go.
    pub fn start(&self) {
        let mut place = self.place.lock();
        let Place::Here(cpus) = &mut *place else {
            return;
        };
        let mut cpus = std::mem::take(cpus).into_iter();
        let each = if self.sleepers.len() == 1 {
            cpus.len()
        } else {
            1
        };
        let threads = self.sleepers.iter().enumerate().map(|(i, sleeper)| {
            let thread = Thread {
                machine: self.machine.clone(),
                sleeper: sleeper.clone(),
                cpus: cpus.by_ref().take(each).collect(),
            };
            let builder = std::thread::Builder::new().name(format!("CPU {i}/TCG"));
            let builder = builder.stack_size(STACK_BYTES);
            builder
                .spawn(move || thread.run())
                .expect("the host can start a thread")
        });
        let threads = threads.collect();
        *place = Place::Running(threads);
    }

    /// Lets the vCPUs run.
    pub fn resume(&self) {
        self.machine.pausing.store(false, Ordering::SeqCst);
        self.sleepers.iter().for_each(|sleeper| sleeper.wake());
    }

    /// Stops the vCPUs, and waits until they stand between two instructions.
    pub fn pause(&self) {
        self.machine.pausing.store(true, Ordering::SeqCst);
        self.kick_all();
        if matches!(&*self.place.lock(), Place::Here(_)) {
            return;
        }
        let mut parked = self.machine.parked.lock();
        while *parked < self.sleepers.len() && !self.machine.quitting.load(Ordering::SeqCst) {
            self.machine.parked_changed.wait(&mut parked);
        }
    }

    /// Makes all vCPUs leave generated code, or wakes them.
    pub fn kick_all(&self) {
        self.vcpus().iter().for_each(|vcpu| vcpu.kick());
    }

    /// An earlier deadline was armed on the virtual clock (`-icount`): the turn must end earlier.
    pub fn notify_timers(&self) {
        self.kick_all();
    }

    /// Resets each vCPU before it next runs. Pause first to reset a machine as one.
    pub fn request_reset(&self, pc: u64) {
        for index in 0..self.vcpus().len() {
            self.async_run(index, move |cpu| reset(cpu, pc));
        }
    }

    /// Ends the vCPU threads; see [`TcgAccel::join`].
    pub fn quit(&self) {
        self.machine.quitting.store(true, Ordering::SeqCst);
        self.kick_all();
        let _parked = self.machine.parked.lock();
        self.machine.parked_changed.notify_all();
    }

    /// Waits until the vCPU threads ended. The vCPUs can be looked at after it, not started again.
    pub fn join(&self) {
        let mut place = self.place.lock();
        let Place::Running(threads) = &mut *place else {
            return;
        };
        let ended = std::mem::take(threads).into_iter();
        let cpus = ended.flat_map(|thread| thread.join().expect("a vCPU thread panicked"));
        *place = Place::Here(cpus.collect());
    }

    /// The sides of the vCPUs that any thread may use.
    pub fn vcpus(&self) -> &[Arc<VcpuShared>] {
        self.machine.exclusive.vcpus()
    }

    /// The block cache, for its [`TbCache::ram_written`].
    pub fn tb_cache(&self) -> Arc<TbCache> {
        self.machine.tbs.clone()
    }

    /// Lets a vCPU do something between two instructions, soon.
    pub fn async_run(&self, index: usize, work: impl FnOnce(&mut G) + Send + 'static) {
        let mut place = self.place.lock();
        match &mut *place {
            Place::Here(cpus) => work(&mut cpus[index]),
            Place::Running(_) => self.machine.queue(index, Box::new(work)),
        }
    }

    /// Lets a vCPU do something between two instructions, and waits for what came out; `None` when
    /// the machine ends instead.
    pub fn run_on_cpu<R: Send + 'static>(
        &self,
        index: usize,
        work: impl FnOnce(&mut G) -> R + Send + 'static,
    ) -> Option<R> {
        let (sender, receiver) = mpsc::channel();
        self.async_run(index, move |cpu| {
            // Whoever waited may have given up.
            let _ = sender.send(work(cpu));
        });
        receiver.recv().ok()
    }

    /// [`TcgAccel::run_on_cpu`] on one vCPU after the other.
    pub fn for_each_cpu<R: Send + 'static>(
        &self,
        work: impl Fn(&mut G) -> R + Send + Sync + 'static,
    ) -> Vec<R> {
        let work = Arc::new(work);
        let run = |index| {
            let work = work.clone();
            self.run_on_cpu(index, move |cpu| work(cpu))
        };
        (0..self.vcpus().len()).filter_map(run).collect()
    }

    /// Notes where the vCPUs are, soon. Not under `-icount`, where a request changes whose turn it
    /// is.
    pub fn sample(&self) {
        if !self.machine.takes_turns() {
            self.vcpus().iter().for_each(|vcpu| vcpu.ask_sample());
        }
    }

    /// The hottest guest code of `TcgConfig::profile`, as text; `symbol` names an address.
    pub fn profile(&self, symbol: &dyn Fn(u64) -> Option<String>) -> String {
        self.machine.profile.report(symbol)
    }

    /// The counters; their `Display` is the text of `info jit`.
    pub fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        stats.jit = self.machine.jit.as_ref().map(|jit| jit.stats());
        stats.samples = self.machine.profile.samples();
        self.machine.tbs.stats(&mut stats);
        for cpu in self.for_each_cpu(|cpu| cpu.common().stats) {
            CpuStats::add(&mut stats.cpus, &cpu);
        }
        stats
    }
}

/// Back to the state after power-on.
fn reset<G: GuestCpu>(cpu: &mut G, pc: u64) {
    let common = cpu.common_mut();
    common.clear_exception();
    common.shared.halted.store(false, Ordering::SeqCst);
    cpu.reset(pc);
    util::qemu_log!(util::log::Item::CpuReset, "{}", cpu.dump());
}
