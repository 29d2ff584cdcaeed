/*
 * Requests of HTTP on the calling thread, which blocks until the answer is there.
 *
 * In a page every thread is a worker, and workers have synchronous requests. Node has none, but each
 * worker may have a worker of its own: that one has an event loop and fetches, while the caller waits
 * on a word of shared memory and then takes the answer out of a port, which needs no event loop.
 */
#include <emscripten.h>
#include <stdint.h>

/* The one that fetches; the strings are JavaScript's, so no comments in it. */
EM_JS(void, tinamou_http_start, (), {
    const text = (error) => String(error.cause?.message || error.cause?.code || error.message || error);
    const in_page = (request) => {
        const xhr = new XMLHttpRequest();
        xhr.open(request.head ? 'HEAD' : 'GET', request.url, false);
        xhr.responseType = 'arraybuffer';
        xhr.timeout = request.timeout;
        if (request.range) xhr.setRequestHeader('Range', request.range);
        xhr.send();
        const headers = xhr.getAllResponseHeaders().split('\r\n').filter(Boolean);
        const body = new Uint8Array(xhr.response || 0);
        return { status: xhr.status, headers, body: xhr.status === request.wanted ? body : null };
    };
    const helper = () => {
        const { workerData } = require('worker_threads');
        const { port, flag } = workerData;
        const text = (error) => String(error.cause?.message || error.cause?.code || error.message);
        const read = async (answer, limit) => {
            const chunks = [];
            let length = 0;
            for await (const chunk of answer.body ?? []) {
                chunks.push(chunk);
                length += chunk.length;
                if (length > limit) break;
            }
            return Buffer.concat(chunks);
        };
        const ask = async (request) => {
            const control = new AbortController();
            const timer = setTimeout(() => control.abort(new Error('it timed out')), request.timeout);
            const headers = { 'accept-encoding': 'identity' };
            if (request.range) headers.range = request.range;
            try {
                const method = request.head ? 'HEAD' : 'GET';
                const answer = await fetch(request.url, { method, headers, signal: control.signal });
                const wanted = answer.status === request.wanted && !request.head;
                const body = wanted ? new Uint8Array(await read(answer, request.limit)) : null;
                if (!wanted) answer.body?.cancel().catch(() => {});
                const lines = [...answer.headers].map(([name, value]) => name + ': ' + value);
                return { status: answer.status, headers: lines, body };
            } finally {
                clearTimeout(timer);
            }
        };
        port.on('message', async (request) => {
            let answer;
            try {
                answer = await ask(request);
            } catch (error) {
                answer = { error: text(error) };
            }
            port.postMessage(answer);
            Atomics.store(flag, 0, 1);
            Atomics.notify(flag, 0);
        });
    };
    const start_helper = () => {
        const { Worker, MessageChannel } = require('worker_threads');
        const { port1, port2 } = new MessageChannel();
        const flag = new Int32Array(new SharedArrayBuffer(4));
        const worker = new Worker('(' + helper + ')()', {
            eval: true, workerData: { port: port2, flag }, transferList: [port2],
            execArgv: [], stdin: false,
        });
        worker.unref();
        return { worker, port: port1, flag };
    };
    let started = null;
    const in_node = (request) => {
        if (!started) started = start_helper();
        const { port, flag } = started;
        Atomics.store(flag, 0, 0);
        port.postMessage(request);
        if (Atomics.wait(flag, 0, 0, request.timeout + 5000) === 'timed-out') {
            started.worker.terminate();
            started = null;
            throw new Error('it timed out');
        }
        const answer = require('worker_threads').receiveMessageOnPort(port).message;
        if (answer.error) throw new Error(answer.error);
        return answer;
    };
    const join = ({ status, headers, body }) => {
        const head = new TextEncoder().encode([status, ...headers].join('\n') + '\n\n');
        const whole = new Uint8Array(head.length + (body?.length ?? 0));
        whole.set(head);
        if (body) whole.set(body, head.length);
        return whole;
    };
    globalThis.tinamouHttp = {
        kept: new Uint8Array(0),
        ask(request) {
            try {
                this.kept = join(ENVIRONMENT_IS_NODE ? in_node(request) : in_page(request));
                return this.kept.length;
            } catch (error) {
                this.kept = new TextEncoder().encode(text(error));
                return -this.kept.length;
            }
        },
    };
})

EM_JS(double, tinamou_http_javascript, (const unsigned char* url, int url_length,
        const unsigned char* range, int range_length, int head, double timeout, double limit), {
    if (!globalThis.tinamouHttp) tinamou_http_start();
    const copy = (at, length) => HEAPU8.slice(at >>> 0, (at >>> 0) + length);
    const text = (at, length) => new TextDecoder().decode(copy(at, length));
    return globalThis.tinamouHttp.ask({
        url: text(url, url_length), range: text(range, range_length), head: head !== 0,
        wanted: range_length ? 206 : 200, timeout, limit,
    });
})

EM_JS(void, tinamou_http_take_javascript, (unsigned char* to, int length), {
    HEAPU8.set(globalThis.tinamouHttp.kept.subarray(0, length), to >>> 0);
    globalThis.tinamouHttp.kept = new Uint8Array(0);
})

double tinamou_http_ask(const uint8_t *url, uint32_t url_length, const uint8_t *range,
                        uint32_t range_length, int32_t head, double timeout, double limit)
{
    return tinamou_http_javascript(url, (int)url_length, range, (int)range_length, head, timeout,
                                   limit);
}

void tinamou_http_take(uint8_t *to, uint32_t length)
{
    tinamou_http_take_javascript(to, (int)length);
}

/* EM_JS functions are linked only if C code names them. */
EMSCRIPTEN_KEEPALIVE void *tinamou_http_javascript_only[] = {
    (void *)tinamou_http_start,
};
