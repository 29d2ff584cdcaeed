// A line to the guest as web streams.

/** What a console keeps for a reader that is slow or not there; then the oldest is dropped. */
const KEPT_MAX = 4 << 20;

/** Input that may be on its way to the guest before a writer waits. */
const ON_ITS_WAY_MAX = 64 << 10;

interface Line {
    input(bytes: Uint8Array): void;
    resize(columns: number, rows: number): void;
}

/** The part of xterm.js's Terminal that a console needs. */
export interface TerminalLike {
    readonly cols: number;
    readonly rows: number;
    write(data: Uint8Array): void;
    onData(listener: (text: string) => void): { dispose(): void };
    onBinary?(listener: (text: string) => void): { dispose(): void };
    onResize(listener: (size: { cols: number; rows: number }) => void): { dispose(): void };
}

export class Console {
    /** What the guest prints. Everybody who listens by `onOutput` gets it besides. */
    readonly readable: ReadableStream<Uint8Array>;
    /** What is typed. */
    readonly writable: WritableStream<Uint8Array | string>;
    readonly #line: Line;
    readonly #listeners = new Set<(bytes: Uint8Array) => void>();
    #reader: ReadableStreamDefaultController<Uint8Array> | null = null;
    #kept: Uint8Array[] = [];
    #keptBytes = 0;
    #onItsWay = 0;
    #room: (() => void)[] = [];
    #ended = false;

    constructor(line: Line) {
        this.#line = line;
        this.readable = new ReadableStream<Uint8Array>(
            {
                start: (controller) => {
                    this.#reader = controller;
                },
                pull: () => this.#feed(),
                cancel: () => {
                    this.#reader = null;
                    this.#kept = [];
                },
            },
            { highWaterMark: 0 },
        );
        this.writable = new WritableStream<Uint8Array | string>({
            write: (data) => this.write(data),
        });
    }

    /** Types; resolves when all of it has left JavaScript's hands. */
    async write(data: Uint8Array | string): Promise<void> {
        const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data.slice();
        if (this.#ended) throw new Error('the machine has ended');
        if (bytes.length === 0) return;
        this.#onItsWay += bytes.length;
        this.#line.input(bytes);
        if (this.#onItsWay > ON_ITS_WAY_MAX) {
            await new Promise<void>((resolve) => this.#room.push(resolve));
        }
    }

    /** Tells the guest how large the window is. */
    resize(columns: number, rows: number): void {
        this.#line.resize(columns, rows);
    }

    /** Calls `listener` with all output from now on; the result ends that. */
    onOutput(listener: (bytes: Uint8Array) => void): () => void {
        this.#listeners.add(listener);
        return () => this.#listeners.delete(listener);
    }

    /** Connects a terminal, as xterm.js has them; the result disconnects it. */
    attach(terminal: TerminalLike): () => void {
        const ignore = () => {}; // the machine has ended
        const ends = [
            terminal.onData((text) => void this.write(text).catch(ignore)),
            terminal.onBinary?.((text) => {
                const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
                this.write(bytes).catch(ignore);
            }),
            terminal.onResize(({ cols, rows }) => this.resize(cols, rows)),
        ];
        const stop = this.onOutput((bytes) => terminal.write(bytes));
        this.resize(terminal.cols, terminal.rows);
        return () => {
            ends.forEach((end) => end?.dispose());
            stop();
        };
    }

    /** Output of the guest. For the machine. */
    receive(bytes: Uint8Array): void {
        for (const listener of this.#listeners) listener(bytes);
        if (!this.#reader) return;
        this.#kept.push(bytes);
        this.#keptBytes += bytes.length;
        while (this.#keptBytes > KEPT_MAX) this.#keptBytes -= this.#kept.shift()?.length ?? 0;
        if ((this.#reader.desiredSize ?? 0) > 0 || this.#pulling) this.#feed();
    }

    /** All input has been taken. For the machine. */
    drained(): void {
        this.#onItsWay = 0;
        for (const resolve of this.#room.splice(0)) resolve();
    }

    /** There will be no more output. For the machine. */
    end(): void {
        this.#ended = true;
        this.drained();
        if (this.#kept.length === 0) this.#close();
    }

    #pulling = false;

    #close(): void {
        this.#reader?.close();
        this.#reader = null;
    }

    #feed(): void {
        const bytes = this.#kept.shift();
        this.#pulling = !bytes;
        if (bytes) {
            this.#keptBytes -= bytes.length;
            this.#reader?.enqueue(bytes);
        }
        if (this.#ended && this.#kept.length === 0) this.#close();
    }
}
