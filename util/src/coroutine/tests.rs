//! The body of tests for both back ends: natively by cargo, under emscripten by tests/coroutine.

use super::cases;

#[test]
fn all_cases() {
    for (name, case) in cases::CASES {
        println!("{name}");
        case();
    }
}
