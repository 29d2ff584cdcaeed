/*
 * The console under Node and in a page. Only the first thread has process.stdin, the terminal and the
 * page, and it runs nothing but JavaScript's event loop (PROXY_TO_PTHREAD). So it pushes what comes
 * from standard input into a ring in shared memory, and whoever wants input waits on the ring. Under
 * Node standard output is written by the calling thread itself.
 *
 * A page gives the module an object `console` with two methods: `start(push, end)` is called once when
 * input is wanted; then `push(bytes)` takes a Uint8Array and `end()` is the end of input.
 * `write(bytes)` gets output, a Uint8Array of its own. Without it input ends at once, and output goes
 * through emscripten's write().
 */
#include <emscripten.h>
#include <stdatomic.h>
#include <stdint.h>
#include <unistd.h>

enum { RING_SIZE = 4096 }; /* a power of two */

/* The JavaScript below knows these as words of 32 bits, in this order. */
static struct {
    _Atomic uint32_t head;   /* bytes ever pushed, modulo 2^32; written by the first thread */
    _Atomic uint32_t tail;   /* bytes ever taken; written by the reader */
    _Atomic uint32_t ended;  /* no more will be pushed */
    _Atomic uint32_t full;   /* the first thread has more, and waits for tinamou_stdin_push */
    _Atomic uint32_t events; /* counts what the reader may be waiting for */
    uint8_t bytes[RING_SIZE];
} ring;

/* Pushes what fits of what has been received; runs on the first thread. */
EM_JS(void, tinamou_stdin_push, (), {
    const input = globalThis.tinamouStdin;
    const [HEAD, TAIL, ENDED, FULL, EVENTS, BYTES] = [0, 1, 2, 3, 4, 5];
    const words = HEAP32.subarray(input.ring >>> 2, (input.ring >>> 2) + BYTES);
    const bytes = input.ring + 4 * BYTES;
    for (;;) {
        let head = Atomics.load(words, HEAD);
        while (input.pending.length) {
            const chunk = input.pending[0];
            const free = input.size - ((head - Atomics.load(words, TAIL)) | 0);
            if (free === 0) break;
            const at = head & (input.size - 1);
            const count = Math.min(free, chunk.length, input.size - at);
            HEAPU8.set(chunk.subarray(0, count), bytes + at);
            head = (head + count) | 0;
            if (count < chunk.length) input.pending[0] = chunk.subarray(count);
            else input.pending.shift();
        }
        Atomics.store(words, HEAD, head);
        Atomics.store(words, FULL, input.pending.length ? 1 : 0);
        /* The reader may have taken everything before it could see that more is waiting. */
        if (!input.pending.length || Atomics.load(words, TAIL) !== head) break;
    }
    if (!input.pending.length) {
        if (input.ended) Atomics.store(words, ENDED, 1);
        else if (input.stream) input.stream.resume();
    }
    Atomics.add(words, EVENTS, 1);
    Atomics.notify(words, EVENTS);
})

/* Starts to receive; runs on the first thread. */
EM_JS(void, tinamou_stdin_start, (uintptr_t address, int size), {
    const input = { ring: address >>> 0, size, pending: [], ended: true, stream: null };
    globalThis.tinamouStdin = input;
    const end = () => {
        input.ended = true;
        tinamou_stdin_push();
    };
    const receive = (chunk) => {
        input.pending.push(chunk);
        tinamou_stdin_push();
    };
    if (Module['console']) {
        input.ended = false;
        return Module['console'].start(receive, end);
    }
    if (!ENVIRONMENT_IS_NODE) return end();
    try {
        input.stream = process.stdin;
    } catch {
        return end(); /* a closed descriptor, or a kind of file that Node does not know */
    }
    input.ended = false;
    input.stream.on('data', (chunk) => {
        input.stream.pause();
        receive(chunk);
    });
    input.stream.on('end', end);
    input.stream.on('close', end);
    input.stream.on('error', end);
})

/* Returns 0, or -1 when nobody reads any more. */
EM_JS(int, tinamou_stdout_write, (const unsigned char* bytes, int length), {
    const fs = require('fs');
    const start = bytes >>> 0; /* above 2 GB the pointer comes as a negative number */
    for (let done = 0; done < length; ) {
        try {
            done += fs.writeSync(1, HEAPU8.subarray(start + done, start + length));
        } catch (error) {
            if (error.code !== 'EAGAIN') return -1;
            /* Standard output is a full pipe that somebody made non-blocking. */
            Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
        }
    }
    return 0;
})

EM_JS(int, tinamou_console_is_node, (), { return ENVIRONMENT_IS_NODE ? 1 : 0; })

/* Hands output to the page; runs on the first thread. 0, or -1 when the page has no console. */
EM_JS(int, tinamou_page_write, (uintptr_t bytes, int length), {
    if (!Module['console']) return -1;
    Module['console'].write(HEAPU8.slice(bytes >>> 0, (bytes >>> 0) + length));
    return 0;
})

/*
 * A shell that puts the terminal back when Node dies without a word, by a crash or SIGKILL: then its
 * standard input ends before the line that says that all is well. Descriptor 3 is the terminal.
 */
EM_JS(void, tinamou_terminal_guard, (), {
    const script =
        'trap "" HUP INT QUIT TERM TTOU; read -r line || stty "$1" <&3';
    try {
        const { execFileSync, spawn } = require('child_process');
        const found = execFileSync('stty', ['-g'], { stdio: [0, 'pipe', 'ignore'] });
        const stdio = ['pipe', 'ignore', 'ignore', 0];
        const guard = spawn('/bin/sh', ['-c', script, 'guard', String(found).trim()], { stdio });
        guard.on('error', () => {}); /* no shell, no guard */
        guard.stdin.on('error', () => {});
        guard.unref();
        guard.stdin.unref();
        globalThis.tinamouTerminalGuard = guard.stdin._handle.fd;
    } catch {
        globalThis.tinamouTerminalGuard = -1;
    }
})

/* Switches the terminal's raw mode; runs on the first thread. */
EM_JS(int, tinamou_terminal_set_raw, (int raw), {
    const restore = () => {
        try {
            process.stdin.setRawMode(false);
            require('fs').writeSync(globalThis.tinamouTerminalGuard, '\n');
        } catch {
            /* the terminal or its guard has gone */
        }
    };
    try {
        if (raw && globalThis.tinamouTerminalGuard === undefined) {
            tinamou_terminal_guard();
            process.on('exit', restore);
            for (const signal of ['SIGHUP', 'SIGINT', 'SIGQUIT', 'SIGTERM']) {
                process.once(signal, () => {
                    restore();
                    process.kill(process.pid, signal);
                });
            }
        }
        process.stdin.setRawMode(raw !== 0);
        return 0;
    } catch {
        return -1;
    }
})

/* Waits until ring.events is no longer `seen`; false when the time is over. */
static int wait_for_event(uint32_t seen, int64_t timeout_ns)
{
    const int TIMED_OUT = 2;
    return __builtin_wasm_memory_atomic_wait32((int *)&ring.events, (int)seen, timeout_ns) !=
           TIMED_OUT;
}

static uint32_t take(uint8_t *buffer, uint32_t length)
{
    uint32_t tail = ring.tail;
    uint32_t count = ring.head - tail;
    if (count > length) {
        count = length;
    }
    for (uint32_t i = 0; i < count; i++) {
        buffer[i] = ring.bytes[(tail + i) % RING_SIZE];
    }
    ring.tail = tail + count;
    if (count > 0 && atomic_exchange(&ring.full, 0)) {
        MAIN_THREAD_ASYNC_EM_ASM({ tinamou_stdin_push(); });
    }
    return count;
}

/*
 * Reads up to `length` bytes: the number of bytes read; 0 when none came in `timeout_ns` nanoseconds
 * (negative: no limit); -1 at the end. One thread at a time.
 */
int32_t tinamou_console_read(uint8_t *buffer, uint32_t length, int64_t timeout_ns)
{
    static int started;
    double deadline_ms = emscripten_get_now() + (double)timeout_ns / 1e6;
    if (!started) {
        started = 1;
        MAIN_THREAD_EM_ASM({ tinamou_stdin_start($0, $1); }, &ring, RING_SIZE);
    }
    for (;;) {
        uint32_t seen = ring.events;
        uint32_t ended = ring.ended;
        uint32_t count = take(buffer, length);
        if (count > 0 || ended) {
            return count > 0 ? (int32_t)count : -1;
        }
        if (timeout_ns >= 0) {
            double left_ms = deadline_ms - emscripten_get_now();
            timeout_ns = left_ms > 0 ? (int64_t)(left_ms * 1e6) : 0;
        }
        if (timeout_ns == 0 || !wait_for_event(seen, timeout_ns)) {
            /* What came in the very last moment counts. */
            count = take(buffer, length);
            return (int32_t)count;
        }
    }
}

/* Writes all bytes: 0, or -1 when that cannot be done. */
int32_t tinamou_console_write(const uint8_t *bytes, uint32_t length)
{
    if (tinamou_console_is_node()) {
        return tinamou_stdout_write(bytes, (int)length);
    }
    if (MAIN_THREAD_EM_ASM_INT({ return tinamou_page_write($0, $1); }, bytes, length) == 0) {
        return 0;
    }
    return write(1, bytes, length) == (ssize_t)length ? 0 : -1;
}

/* 0, or -1 when the mode cannot be changed. */
int32_t tinamou_console_set_raw(int32_t raw)
{
    return MAIN_THREAD_EM_ASM_INT({ return tinamou_terminal_set_raw($0); }, raw);
}

/* EM_JS functions are linked only if C code names them. */
EMSCRIPTEN_KEEPALIVE void *tinamou_console_javascript[] = {
    (void *)tinamou_stdin_push,
    (void *)tinamou_stdin_start,
    (void *)tinamou_page_write,
    (void *)tinamou_terminal_guard,
    (void *)tinamou_terminal_set_raw,
};
