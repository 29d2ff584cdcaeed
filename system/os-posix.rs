//! The program's entry on a native host.

use std::process::ExitCode;

#[cfg_attr(
    test,
    expect(dead_code, reason = "the test harness has a main of its own")
)]
pub fn main() -> ExitCode {
    let status = crate::run::run(std::env::args_os().collect());
    // A host keeps only the low byte, as `exit(3)` does.
    ExitCode::from(status.to_le_bytes()[0])
}
