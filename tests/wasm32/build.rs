//! Links the test under emscripten.

fn main() {
    emlink::link(emlink::Program {
        host: emlink::Host::Node,
        coroutines: false,
        shims: &["accel/tcg/src/jit/host/wasm.c"],
    });
}
