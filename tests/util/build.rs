//! Links the test under emscripten.

fn main() {
    emlink::link(emlink::Program {
        host: emlink::Host::Node,
        coroutines: true,
        shims: &[],
    });
}
