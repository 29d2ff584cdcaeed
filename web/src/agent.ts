// The host's side of the control port (docs/agent.md): programs in the guest.

const PAYLOAD_MAX = 65536;
const HEAD_BYTES = 9;
/** Input of programs is sent in pieces of this size. */
const PIECE = 32 << 10;

const RUN = 1;
const STDIN = 2;
const STDIN_END = 3;
const RESIZE = 4;
const SIGNAL = 5;
const POWER_OFF = 7;
const READY = 64;
const STARTED = 65;
const STDOUT = 66;
const STDERR = 67;
const EXIT = 68;
const ERROR = 69;

/** The id of the program that the image names. */
const ENTRYPOINT = 0;

export interface RunOptions {
    env?: Record<string, string>;
    cwd?: string;
    user?: string;
    stdin?: string | Uint8Array | ReadableStream<Uint8Array>;
    onStdout?: (bytes: Uint8Array) => void;
    onStderr?: (bytes: Uint8Array) => void;
    /** Kills the program. */
    signal?: AbortSignal;
    /** How long to wait for the guest's agent, in ms. */
    timeout?: number;
}

export interface RunResult {
    /** 128 + the signal for a program that was killed. */
    code: number;
    stdout: string;
    stderr: string;
    stdoutBytes: Uint8Array;
    stderrBytes: Uint8Array;
}

interface Program {
    onStarted(): void;
    onOutput(kind: number, bytes: Uint8Array): void;
    onExit(code: number): void;
    onError(reason: Error): void;
}

export interface Wire {
    write(bytes: Uint8Array): Promise<void>;
}

export class Agent {
    readonly #wire: Wire;
    readonly #programs = new Map<number, Program>();
    readonly #onExit: (code: number) => void;
    #buffer = new Uint8Array();
    #nextId = 1;
    #markReady: () => void = () => {};
    #markLost: (reason: Error) => void = () => {};
    /** Settled when the guest's agent is there. */
    readonly ready: Promise<void>;

    /** `onExit` hears of the entrypoint's end. */
    constructor(wire: Wire, onExit: (code: number) => void) {
        this.#wire = wire;
        this.#onExit = onExit;
        this.ready = new Promise((resolve, reject) => {
            this.#markReady = resolve;
            this.#markLost = reject;
        });
        this.ready.catch(() => {}); // whoever waits for it hears of it
    }

    /** Bytes from the guest. */
    receive(bytes: Uint8Array): void {
        const all = new Uint8Array(this.#buffer.length + bytes.length);
        all.set(this.#buffer);
        all.set(bytes, this.#buffer.length);
        let at = 0;
        const view = new DataView(all.buffer);
        while (all.length - at >= HEAD_BYTES) {
            const length = view.getUint32(at, true);
            if (length > PAYLOAD_MAX) return this.lost(new Error('the guest\'s agent talks nonsense'));
            if (all.length - at < HEAD_BYTES + length) break;
            const start = at + HEAD_BYTES;
            this.#take(view.getUint8(at + 4), view.getUint32(at + 5, true), all.slice(start, start + length));
            at = start + length;
        }
        this.#buffer = all.slice(at);
    }

    /** There will be no answers any more. */
    lost(reason: Error): void {
        this.#buffer = new Uint8Array();
        this.#markLost(reason);
        for (const program of this.#programs.values()) program.onError(reason);
        this.#programs.clear();
    }

    async run(command: string | string[], options: RunOptions): Promise<RunResult> {
        await this.#waitUntilReady(options.timeout ?? 120_000);
        options.signal?.throwIfAborted();
        const argv = typeof command === 'string' ? ['/bin/sh', '-c', command] : command;
        const { env, cwd, user } = options;
        const id = this.#nextId++;
        const text = JSON.stringify({ argv, env, cwd, user, tty: false });
        const payload = new TextEncoder().encode(text);
        if (payload.length > PAYLOAD_MAX) throw new Error('the command is too long');
        const kill = () => void this.#send(SIGNAL, id, Uint8Array.of(9)).catch(() => {});
        options.signal?.addEventListener('abort', kill);
        try {
            const ended = this.#watch(id, options);
            await this.#send(RUN, id, payload);
            this.#feed(id, options.stdin).catch(() => {}); // the program has ended, or its machine
            return await ended;
        } finally {
            options.signal?.removeEventListener('abort', kill);
            this.#programs.delete(id);
        }
    }

    async powerOff(): Promise<void> {
        await this.#send(POWER_OFF, ENTRYPOINT, new Uint8Array());
    }

    /** The size of the entrypoint's terminal. */
    async resize(columns: number, rows: number): Promise<void> {
        const size = new DataView(new ArrayBuffer(4));
        size.setUint16(0, rows, true);
        size.setUint16(2, columns, true);
        await this.#send(RESIZE, ENTRYPOINT, new Uint8Array(size.buffer));
    }

    async #waitUntilReady(ms: number): Promise<void> {
        let timer: ReturnType<typeof setTimeout> | undefined;
        const late = new Promise<never>((_, reject) => {
            const why = `the guest's agent did not come in ${ms / 1000} s: is it a converted image?`;
            timer = setTimeout(() => reject(new Error(why)), ms);
        });
        try {
            await Promise.race([this.ready, late]);
        } finally {
            clearTimeout(timer);
        }
    }

    #watch(id: number, options: RunOptions): Promise<RunResult> {
        const output: Record<number, Uint8Array[]> = { [STDOUT]: [], [STDERR]: [] };
        return new Promise((resolve, reject) => {
            this.#programs.set(id, {
                onStarted: () => {},
                onOutput: (kind, bytes) => {
                    output[kind]?.push(bytes);
                    (kind === STDOUT ? options.onStdout : options.onStderr)?.(bytes);
                },
                onExit: (code) => {
                    const stdoutBytes = join(output[STDOUT] ?? []);
                    const stderrBytes = join(output[STDERR] ?? []);
                    const decode = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
                    const [stdout, stderr] = [decode(stdoutBytes), decode(stderrBytes)];
                    resolve({ code, stdout, stderr, stdoutBytes, stderrBytes });
                },
                onError: reject,
            });
        });
    }

    async #feed(id: number, stdin: RunOptions['stdin']): Promise<void> {
        if (stdin instanceof ReadableStream) {
            for (const reader = stdin.getReader(); ; ) {
                const { done, value } = await reader.read();
                if (done) break;
                await this.#sendInput(id, value);
            }
        } else if (stdin) {
            const bytes = typeof stdin === 'string' ? new TextEncoder().encode(stdin) : stdin;
            await this.#sendInput(id, bytes);
        }
        await this.#send(STDIN_END, id, new Uint8Array());
    }

    async #sendInput(id: number, bytes: Uint8Array): Promise<void> {
        for (let at = 0; at < bytes.length && this.#programs.has(id); at += PIECE) {
            await this.#send(STDIN, id, bytes.subarray(at, at + PIECE));
        }
    }

    async #send(kind: number, id: number, payload: Uint8Array): Promise<void> {
        const frame = new Uint8Array(HEAD_BYTES + payload.length);
        const view = new DataView(frame.buffer);
        view.setUint32(0, payload.length, true);
        view.setUint8(4, kind);
        view.setUint32(5, id, true);
        frame.set(payload, HEAD_BYTES);
        await this.#wire.write(frame);
    }

    #take(kind: number, id: number, payload: Uint8Array): void {
        const program = this.#programs.get(id);
        switch (kind) {
            case READY:
                return this.#markReady();
            case STARTED:
                return program?.onStarted();
            case STDOUT:
            case STDERR:
                return program?.onOutput(kind, payload);
            case EXIT: {
                if (payload.length < 4) return;
                const code = new DataView(payload.buffer, payload.byteOffset).getInt32(0, true);
                return id === ENTRYPOINT ? this.#onExit(code) : program?.onExit(code);
            }
            case ERROR:
                return program?.onError(new Error(new TextDecoder().decode(payload)));
        }
    }
}

function join(pieces: Uint8Array[]): Uint8Array {
    const all = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
        all.set(piece, at);
        at += piece.length;
    }
    return all;
}
