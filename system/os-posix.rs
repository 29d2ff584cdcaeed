//! The program's entry on a native host.

use std::process::ExitCode;

pub fn main() -> ExitCode {
    let status = crate::run::run(std::env::args_os().collect());
    // A host keeps only the low byte, as `exit(3)` does.
    ExitCode::from(status.to_le_bytes()[0])
}
