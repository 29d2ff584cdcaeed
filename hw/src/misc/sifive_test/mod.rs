//! SiFive's test finisher: how a guest powers off, restarts, or ends with an exit status.

mod registers;

use std::sync::Arc;

use include::{AccessSize, MmioDevice, RunStateControl, ShutdownCause};
use parking_lot::Mutex;

use crate::core::log_guest_error;
use registers::{FAIL, FINISHER};
pub use registers::{PASS, RESET};

/// The finisher. Window: 0x1000 bytes on virt (4 used).
pub struct SifiveTest {
    run_state: Arc<dyn RunStateControl>,
}

impl SifiveTest {
    pub fn new(run_state: Arc<dyn RunStateControl>) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { run_state }))
    }
}

impl MmioDevice for SifiveTest {
    fn read(&mut self, _offset: u64, _size: AccessSize) -> u64 {
        0
    }

    fn write(&mut self, offset: u64, _size: AccessSize, value: u64) {
        let status = i32::from((value >> 16) as u16);
        match (offset, value as u16) {
            (FINISHER, FAIL) => {
                self.run_state
                    .shutdown_request(ShutdownCause::GuestPanic { status });
            }
            (FINISHER, PASS) => {
                self.run_state
                    .shutdown_request(ShutdownCause::GuestShutdown { status });
            }
            (FINISHER, RESET) => self.run_state.reset_request(),
            _ => log_guest_error!("sifive_test: write of {value:#x} to {offset:#x}"),
        }
    }

    fn min_access(&self) -> AccessSize {
        AccessSize::Half
    }

    fn max_access(&self) -> AccessSize {
        AccessSize::Word
    }

    fn reset(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::testing::{ManualTimers, fuzz};

    #[derive(Default)]
    struct Requests(Mutex<Vec<Option<ShutdownCause>>>);

    impl RunStateControl for Requests {
        fn shutdown_request(&self, cause: ShutdownCause) {
            self.0.lock().push(Some(cause));
        }
        fn reset_request(&self) {
            self.0.lock().push(None);
        }
        fn pause_request(&self) {}
        fn resume_request(&self) {}
    }

    #[test]
    fn commands() {
        let check = |size, value, expected: &[Option<ShutdownCause>]| {
            let requests = Arc::new(Requests::default());
            SifiveTest::new(requests.clone())
                .lock()
                .write(0, size, value);
            assert_eq!(requests.0.lock().as_slice(), expected, "{value:#x}");
        };
        use AccessSize::{Half, Word};
        check(
            Word,
            0x5555,
            &[Some(ShutdownCause::GuestShutdown { status: 0 })],
        );
        check(
            Half,
            0x5555,
            &[Some(ShutdownCause::GuestShutdown { status: 0 })],
        );
        check(
            Word,
            0x7_3333,
            &[Some(ShutdownCause::GuestPanic { status: 7 })],
        );
        check(Word, 0x7777, &[None]);
        check(Word, 0x1234, &[]);
    }

    #[test]
    fn random_accesses_do_no_harm() {
        let requests = Arc::new(Requests::default());
        let device: Arc<Mutex<dyn MmioDevice>> = SifiveTest::new(requests);
        fuzz(&device, 0x1000, 1, &ManualTimers::new());
    }
}
