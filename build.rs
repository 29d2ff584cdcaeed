//! Links the program. A native build needs nothing.

use emlink::{Host, Program};

fn main() {
    let page = std::env::var("CARGO_FEATURE_PAGE").is_ok();
    emlink::link(Program {
        host: if page { Host::Page } else { Host::Node },
        coroutines: true,
        shims: &[],
    });
}
