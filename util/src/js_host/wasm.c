/*
 * The JavaScript around the emulator. It gives the module an object `host` with methods that run on the
 * first thread:
 *   opened(number, name)   there is a port of this name
 *   output(number, bytes)  the guest wrote bytes, a Uint8Array of its own
 *   drained(number)        all input that was given has been taken out of JavaScript's hands
 * and finds in the module, from its first `opened` or call on:
 *   hostInput(number, bytes)           input; what does not fit into the ring waits in order
 *   hostResize(number, columns, rows)
 *   hostBreak(number)
 *   hostCall(name, request)            the answer, a Uint8Array, or null if nothing has this name
 */
#include <emscripten.h>
#include <stdint.h>

/* Rust's; see wasm.rs. */
void tinamou_js_host_event(uint32_t number, uint32_t kind, uint32_t columns, uint32_t rows);
uint8_t *tinamou_js_host_letter(uint32_t length);
int32_t tinamou_js_host_ask(uint32_t name_length);
const uint8_t *tinamou_js_host_answer(void);

EMSCRIPTEN_KEEPALIVE void tinamou_host_event(uint32_t number, uint32_t kind, uint32_t columns,
                                             uint32_t rows)
{
    tinamou_js_host_event(number, kind, columns, rows);
}

EMSCRIPTEN_KEEPALIVE uint8_t *tinamou_host_letter(uint32_t length)
{
    return tinamou_js_host_letter(length);
}

EMSCRIPTEN_KEEPALIVE int32_t tinamou_host_ask(uint32_t name_length)
{
    return tinamou_js_host_ask(name_length);
}

EMSCRIPTEN_KEEPALIVE const uint8_t *tinamou_host_answer(void)
{
    return tinamou_js_host_answer();
}

/* Takes all output of a port, and puts in what fits of its input. HEAD, TAIL, TOLD, FULL: ring.rs. */
EM_JS(void, tinamou_js_host_pump, (int number), {
    const port = globalThis.tinamouPorts[number];
    const [HEAD, TAIL, TOLD, FULL] = [0, 1, 2, 3];
    const mask = port.size - 1;
    const words = (ring) => HEAP32.subarray(ring.words >>> 2, (ring.words >>> 2) + 4);
    const output = words(port.output);
    Atomics.store(output, TOLD, 0);
    for (;;) {
        const tail = Atomics.load(output, TAIL);
        const count = (Atomics.load(output, HEAD) - tail) | 0;
        if (count <= 0) break;
        const at = port.output.bytes + (tail & mask);
        const length = Math.min(count, port.size - (tail & mask));
        const bytes = HEAPU8.slice(at, at + length);
        Atomics.store(output, TAIL, (tail + length) | 0);
        Atomics.notify(output, TAIL);
        Module['host'].output(number, bytes);
    }
    if (!port.pending.length) return;
    const input = words(port.input);
    let [head, put] = [Atomics.load(input, HEAD), 0];
    for (;;) {
        /* Set first: a reader that takes afterwards tells us. */
        Atomics.store(input, FULL, 1);
        const free = port.size - ((head - Atomics.load(input, TAIL)) | 0);
        const chunk = port.pending[0];
        if (!chunk || free === 0) break;
        const at = head & mask;
        const count = Math.min(free, chunk.length, port.size - at);
        HEAPU8.set(chunk.subarray(0, count), port.input.bytes + at);
        head = (head + count) | 0;
        put += count;
        Atomics.store(input, HEAD, head);
        if (count < chunk.length) port.pending[0] = chunk.subarray(count);
        else port.pending.shift();
    }
    if (!port.pending.length) Atomics.store(input, FULL, 0);
    if (put > 0) _tinamou_host_event(number, 0, 0, 0);
    if (!port.pending.length) Module['host'].drained(number);
})

EM_JS(void, tinamou_js_host_functions, (), {
    if (Module['hostCall']) return;
    globalThis.tinamouPorts = [];
    Module['hostInput'] = (number, bytes) => {
        globalThis.tinamouPorts[number].pending.push(bytes);
        tinamou_js_host_pump(number);
    };
    Module['hostResize'] = (number, columns, rows) =>
        _tinamou_host_event(number, 1, columns, rows);
    Module['hostBreak'] = (number) => _tinamou_host_event(number, 2, 0, 0);
    Module['hostCall'] = (name, request) => {
        const start = new TextEncoder().encode(name);
        const letter = _tinamou_host_letter(start.length + request.length) >>> 0;
        HEAPU8.set(start, letter);
        HEAPU8.set(request, letter + start.length);
        const length = _tinamou_host_ask(start.length);
        const answer = _tinamou_host_answer() >>> 0;
        return length < 0 ? null : HEAPU8.slice(answer, answer + length);
    };
})

/* Runs on the first thread. 0, or -1 when there is nobody to take a port. */
EM_JS(int, tinamou_js_host_opened, (int number, uintptr_t name, int length, uintptr_t input,
        uintptr_t input_bytes, uintptr_t output, uintptr_t output_bytes, int size), {
    if (!Module['host']) return -1;
    tinamou_js_host_functions();
    const ring = (words, bytes) => ({ words: words >>> 0, bytes: bytes >>> 0 });
    globalThis.tinamouPorts[number] = {
        input: ring(input, input_bytes), output: ring(output, output_bytes), size, pending: [],
    };
    name >>>= 0;
    /* The decoder takes no shared memory. */
    Module['host'].opened(number, new TextDecoder().decode(HEAPU8.slice(name, name + length)));
    return 0;
})

int32_t tinamou_js_host_open(uint32_t number, const uint8_t *name, uint32_t length,
                             const uint8_t *input, const uint8_t *input_bytes,
                             const uint8_t *output, const uint8_t *output_bytes, uint32_t size)
{
    return MAIN_THREAD_EM_ASM_INT(
        { return tinamou_js_host_opened($0, $1, $2, $3, $4, $5, $6, $7); }, number, name, length,
        input, input_bytes, output, output_bytes, size);
}

/* There is output, or room for input. */
void tinamou_js_host_tell(uint32_t number)
{
    MAIN_THREAD_ASYNC_EM_ASM({ tinamou_js_host_pump($0); }, number);
}

void tinamou_js_host_offer_calls(void)
{
    MAIN_THREAD_EM_ASM({ tinamou_js_host_functions(); });
}

/* Waits until `*word` is no longer `seen`, or the time is over. */
void tinamou_js_host_wait(const uint32_t *word, uint32_t seen, int64_t timeout_ns)
{
    __builtin_wasm_memory_atomic_wait32((int *)word, (int)seen, timeout_ns);
}

/* EM_JS functions are linked only if C code names them. */
EMSCRIPTEN_KEEPALIVE void *tinamou_js_host_javascript[] = {
    (void *)tinamou_js_host_pump,
    (void *)tinamou_js_host_functions,
    (void *)tinamou_js_host_opened,
};
