//! Sections in which no vCPU runs generated code (QEMU's `cpus-common.c`).
//!
//! A vCPU says when it runs; whoever wants all others out raises a flag, asks them to leave, and
//! waits. Entering and leaving cost two stores and two loads while nobody wants that.
//!
//! First code in a page: stores that were fast up to now must be seen from then on. So the page is
//! marked in an exclusive section, in which each other vCPU is told to take away the fast path;
//! it does before it runs again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::cpu::VcpuShared;
use crate::tlb::PROTECT_MAX;

/// See the module's text.
pub(crate) struct Exclusive {
    vcpus: Vec<Arc<VcpuShared>>,
    wanted: AtomicBool,
    /// The same as `wanted`, for who waits.
    owned: Mutex<bool>,
    changed: Condvar,
}

/// Nobody runs while this lives.
pub(crate) struct ExclusiveSection<'a>(&'a Exclusive);

impl Exclusive {
    pub(crate) fn new(vcpus: Vec<Arc<VcpuShared>>) -> Self {
        let (owned, changed) = (Mutex::new(false), Condvar::new());
        Self {
            vcpus,
            wanted: AtomicBool::new(false),
            owned,
            changed,
        }
    }

    pub(crate) fn vcpus(&self) -> &[Arc<VcpuShared>] {
        &self.vcpus
    }

    /// The vCPU is about to run; waits until it may.
    pub(crate) fn enter(&self, vcpu: &VcpuShared) {
        vcpu.running.store(true, Ordering::SeqCst);
        while self.wanted.load(Ordering::SeqCst) {
            vcpu.running.store(false, Ordering::SeqCst);
            let mut owned = self.owned.lock();
            self.changed.notify_all();
            while *owned {
                self.changed.wait(&mut owned);
            }
            vcpu.running.store(true, Ordering::SeqCst);
        }
    }

    /// The vCPU does not run any more, and holds no block.
    pub(crate) fn leave(&self, vcpu: &VcpuShared) {
        vcpu.running.store(false, Ordering::SeqCst);
        if self.wanted.load(Ordering::SeqCst) {
            let _owned = self.owned.lock();
            self.changed.notify_all();
        }
    }

    /// Waits until nobody runs. The caller's own vCPU has left.
    pub(crate) fn start(&self) -> ExclusiveSection<'_> {
        let mut owned = self.owned.lock();
        while *owned {
            self.changed.wait(&mut owned);
        }
        *owned = true;
        self.wanted.store(true, Ordering::SeqCst);
        for vcpu in &self.vcpus {
            while vcpu.running.load(Ordering::SeqCst) {
                vcpu.exit_request.store(1, Ordering::SeqCst);
                self.changed.wait(&mut owned);
            }
        }
        ExclusiveSection(self)
    }
}

impl ExclusiveSection<'_> {
    /// Tells every vCPU but `me` that stores to the RAM page must be seen.
    pub(crate) fn protect(&self, page: u32, me: &VcpuShared) {
        for vcpu in self.0.vcpus.iter().filter(|v| !std::ptr::eq(&***v, me)) {
            let mut pages = vcpu.protect.lock();
            if pages.len() < PROTECT_MAX {
                pages.push(page);
            }
            vcpu.protect_pending.store(true, Ordering::SeqCst);
        }
    }
}

impl Drop for ExclusiveSection<'_> {
    fn drop(&mut self) {
        let mut owned = self.0.owned.lock();
        *owned = false;
        self.0.wanted.store(false, Ordering::SeqCst);
        self.0.changed.notify_all();
    }
}
