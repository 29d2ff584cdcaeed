//! The run state of the machine (QEMU's `system/runstate.c`): who may run, who ends it, and what
//! status the process leaves with.
//!
//! Requests come from any thread and return at once; the main loop carries them out, shutdown
//! before reset before pause before resume. While the machine does not run, no vCPU executes and
//! the virtual clock stands still.

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use include::{RunStateControl, ShutdownCause};
use parking_lot::Mutex;
use util::main_loop::MainLoop;

use crate::options::{Actions, OnPanic};

/// Where the machine stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunState {
    /// Not started yet (`-S`), or reset while it did not run.
    Prelaunch,
    Running,
    /// Stopped by the user.
    Paused,
    /// The guest ended, and `-no-shutdown` keeps it for a look.
    Shutdown,
    /// The guest panicked, and `-action panic=pause` keeps it.
    GuestPanicked,
}

impl RunState {
    /// What `info status` calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prelaunch => "paused (prelaunch)",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Shutdown => "paused (shutdown)",
            Self::GuestPanicked => "paused (guest-panicked)",
        }
    }

    /// The machine must be reset before it can run again.
    fn needs_reset(self) -> bool {
        matches!(self, Self::Shutdown | Self::GuestPanicked)
    }
}

/// What the run state needs of the machine. Called on the main loop's thread only.
pub trait MachineControl: Send + Sync {
    /// Returns when no vCPU executes any more.
    fn pause_cpus(&self);
    /// Lets them execute.
    fn resume_cpus(&self);
    /// Power-on state: RAM images, devices, vCPUs. The vCPUs are paused.
    fn reset(&self);
}

/// The run state.
pub struct RunStateMachine {
    this: Weak<RunStateMachine>,
    main_loop: Arc<MainLoop>,
    actions: Actions,
    machine: OnceLock<Arc<dyn MachineControl>>,
    state: Mutex<RunState>,
    requests: Mutex<Requests>,
    exit_status: AtomicI32,
}

#[derive(Default)]
struct Requests {
    shutdown: Option<ShutdownCause>,
    reset: bool,
    pause: bool,
    resume: bool,
    posted: bool,
}

impl RunStateMachine {
    /// In state [`RunState::Prelaunch`], without a machine.
    pub fn new(main_loop: Arc<MainLoop>, actions: Actions) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            this: this.clone(),
            main_loop,
            actions,
            machine: OnceLock::new(),
            state: Mutex::new(RunState::Prelaunch),
            requests: Mutex::default(),
            exit_status: AtomicI32::new(0),
        })
    }

    /// Connects the machine; once. Requests wait until then.
    pub fn set_machine(&self, machine: Arc<dyn MachineControl>) {
        assert!(self.machine.set(machine).is_ok(), "there is one machine");
        self.post();
    }

    /// Where the machine stands.
    pub fn state(&self) -> RunState {
        *self.state.lock()
    }

    /// What the process exits with, once the main loop has ended.
    pub fn exit_status(&self) -> i32 {
        self.exit_status.load(Ordering::Acquire)
    }

    fn request(&self, change: impl FnOnce(&mut Requests)) {
        let mut requests = self.requests.lock();
        change(&mut requests);
        let posted = std::mem::replace(&mut requests.posted, true);
        drop(requests);
        if !posted {
            self.post();
        }
    }

    fn post(&self) {
        let Some(this) = self.this.upgrade() else {
            return;
        };
        self.main_loop.post(move || this.settle());
    }

    /// Carries out what was asked; on the main loop's thread, without any lock held.
    pub fn settle(&self) {
        let Some(machine) = self.machine.get() else {
            return;
        };
        let asked = std::mem::take(&mut *self.requests.lock());
        if let Some(cause) = asked.shutdown
            && self.shut_down(machine.as_ref(), cause)
        {
            return;
        }
        if asked.reset {
            self.reset(machine.as_ref());
        }
        if asked.pause {
            self.stop(machine.as_ref(), RunState::Paused);
        }
        if asked.resume {
            self.start(machine.as_ref());
        }
    }

    /// True if the process ends.
    fn shut_down(&self, machine: &dyn MachineControl, cause: ShutdownCause) -> bool {
        let (status, keep) = match (cause, self.actions.panic) {
            (ShutdownCause::HostRequest, _) => (0, None),
            (ShutdownCause::GuestPanic { .. }, OnPanic::None) => return false,
            (ShutdownCause::GuestPanic { .. }, OnPanic::Pause) => {
                (0, Some(RunState::GuestPanicked))
            }
            (ShutdownCause::GuestPanic { .. }, OnPanic::ExitFailure) => (1, None),
            (ShutdownCause::GuestPanic { status } | ShutdownCause::GuestShutdown { status }, _) => {
                (
                    status,
                    self.actions.shutdown_is_pause.then_some(RunState::Shutdown),
                )
            }
        };
        // In either case nothing of the guest runs any more from here on.
        self.stop(machine, keep.unwrap_or(RunState::Shutdown));
        if keep.is_none() {
            self.exit_status.store(status, Ordering::Release);
            self.main_loop.quit();
        }
        keep.is_none()
    }

    fn reset(&self, machine: &dyn MachineControl) {
        if self.actions.reset_is_shutdown {
            self.shut_down(machine, ShutdownCause::GuestShutdown { status: 0 });
            return;
        }
        let was_running = self.state() == RunState::Running;
        machine.pause_cpus();
        machine.reset();
        if was_running {
            machine.resume_cpus();
        } else {
            *self.state.lock() = RunState::Prelaunch;
        }
    }

    fn stop(&self, machine: &dyn MachineControl, next: RunState) {
        let before = std::mem::replace(&mut *self.state.lock(), next);
        if before == RunState::Running {
            machine.pause_cpus();
            self.main_loop.timers().stop_virtual();
        } else if next == RunState::Paused {
            // There is nothing to pause; say still why it does not run.
            *self.state.lock() = before;
        }
    }

    fn start(&self, machine: &dyn MachineControl) {
        let mut state = self.state.lock();
        if *state == RunState::Running || state.needs_reset() {
            return;
        }
        *state = RunState::Running;
        drop(state);
        self.main_loop.timers().start_virtual();
        machine.resume_cpus();
    }
}

impl RunStateControl for RunStateMachine {
    fn shutdown_request(&self, cause: ShutdownCause) {
        self.request(|requests| {
            // The first of the guest's reasons counts, but the user's overrides them.
            if requests.shutdown.is_none() || cause == ShutdownCause::HostRequest {
                requests.shutdown = Some(cause);
            }
        });
    }

    fn reset_request(&self) {
        self.request(|requests| requests.reset = true);
    }

    fn pause_request(&self) {
        self.request(|requests| (requests.pause, requests.resume) = (true, false));
    }

    fn resume_request(&self) {
        self.request(|requests| (requests.pause, requests.resume) = (false, true));
    }
}
