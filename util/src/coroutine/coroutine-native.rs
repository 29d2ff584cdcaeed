//! Native back end: stacks with guard pages, switched by crate `corosensei`.
#![expect(
    unsafe_code,
    reason = "a fiber reaches its own yielder, and a signal handler tells of a full stack"
)]

use std::cell::{Cell, RefCell};
use std::io;
use std::mem::ManuallyDrop;
use std::rc::Rc;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use corosensei::stack::{DefaultStack, Stack};
use corosensei::{Coroutine, Yielder};

use super::STACK_BYTES;
use super::context::{Entry, Leader};

/// A stack and what runs on it, again and again.
pub struct Fiber {
    coroutine: ManuallyDrop<Coroutine<(), (), ()>>,
    slot: Rc<RefCell<Option<Entry>>>,
    idle: Rc<Cell<bool>>,
    guard: Guard,
}

thread_local! {
    /// Of the fiber that runs on this thread.
    static YIELDER: Cell<*const Yielder<(), ()>> = const { Cell::new(std::ptr::null()) };
}

impl Fiber {
    pub fn new() -> Self {
        let stack = DefaultStack::new(STACK_BYTES).expect("the host has memory for a stack");
        let guard = Guard::below(stack.limit().get());
        let slot: Rc<RefCell<Option<Entry>>> = Rc::default();
        let idle = Rc::new(Cell::new(true));
        let (from, resting) = (slot.clone(), idle.clone());
        let coroutine = Coroutine::with_stack(stack, move |yielder, ()| {
            loop {
                YIELDER.set(yielder);
                let entry = from.borrow_mut().take();
                if let Some(entry) = entry {
                    entry();
                }
                resting.set(true);
                yielder.suspend(());
            }
        });
        Self {
            coroutine: ManuallyDrop::new(coroutine),
            slot,
            idle,
            guard,
        }
    }

    pub fn set_entry(&mut self, entry: Entry) {
        self.idle.set(false);
        *self.slot.borrow_mut() = Some(entry);
    }

    /// Whether its entry has returned.
    pub fn is_idle(&self) -> bool {
        self.idle.get()
    }

    /// The guard page has looked already.
    pub fn check_stack(&self) {
        debug_assert_ne!(self.guard.page, 0);
    }
}

impl Drop for Fiber {
    fn drop(&mut self) {
        // A worker may use what is on the stack of a coroutine that waits: it stays, as with a
        // thread that never ends.
        if !self.is_idle() {
            return;
        }
        // SAFETY: this is the only drop. Nothing is on an idle fiber's stack but its first
        // function, which owns what its captures own too.
        unsafe {
            self.coroutine.force_reset();
            ManuallyDrop::drop(&mut self.coroutine);
        }
    }
}

/// Back to the leader, until the fiber is resumed.
pub fn suspend() {
    let yielder = YIELDER.get();
    // SAFETY: the caller runs on a fiber of this thread, which has set the pointer to its yielder
    // when it was resumed last; the yielder lives on the fiber's stack.
    unsafe { (*yielder).suspend(()) };
    YIELDER.set(yielder);
}

/// Runs a leader on a new thread, where it is made.
pub fn start_thread(
    name: &str,
    leader: impl FnOnce() -> Leader + Send + 'static,
) -> io::Result<()> {
    catch_overflows();
    thread::Builder::new().name(name.into()).spawn(move || {
        let mut leader = leader();
        while let Some(fiber) = leader.next() {
            fiber.coroutine.resume(());
        }
    })?;
    Ok(())
}

const GUARDS_MAX: usize = 4096;
/// Addresses of guard pages; a signal handler can read them.
static GUARDS: [AtomicUsize; GUARDS_MAX] = [const { AtomicUsize::new(0) }; GUARDS_MAX];
const PAGE: usize = 4096;

/// The page below a stack, which must not be touched. Listed as long as this lives.
struct Guard {
    page: usize,
    index: Option<usize>,
}

impl Guard {
    fn below(stack_limit: usize) -> Self {
        let page = stack_limit;
        let vacant = |slot: &AtomicUsize| {
            slot.compare_exchange(0, page, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok()
        };
        // With all taken, an overflow is a bare segmentation fault.
        let index = GUARDS.iter().position(vacant);
        Self { page, index }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(index) = self.index {
            GUARDS[index].store(0, Ordering::Release);
        }
    }
}

/// Where the guard page of a stack with this lower limit lies.
fn hits_guard(limit: usize, address: usize) -> bool {
    limit != 0 && address < limit + PAGE && address >= limit.saturating_sub(PAGE)
}

extern "C" fn on_segv(signal: i32, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    const MESSAGE: &[u8] = b"tinamou: a coroutine's stack is full\n";
    // SAFETY: the kernel hands a valid siginfo to a handler with SA_SIGINFO.
    let address = unsafe { (*info).si_addr() } as usize;
    let known = |slot: &AtomicUsize| hits_guard(slot.load(Ordering::Acquire), address);
    if GUARDS.iter().any(known) {
        // SAFETY: write is safe in signal handlers; the buffer is a constant.
        unsafe { libc::write(2, MESSAGE.as_ptr().cast(), MESSAGE.len()) };
    }
    // SAFETY: the default action ends the process when the faulting instruction runs again.
    unsafe { libc::signal(signal, libc::SIG_DFL) };
}

/// Says why when a stack is full, before the process ends.
fn catch_overflows() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: all zeros is a valid sigaction; the handler calls only what handlers may.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_segv as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            for signal in [libc::SIGSEGV, libc::SIGBUS] {
                libc::sigaction(signal, &action, std::ptr::null_mut());
            }
        }
    });
}
