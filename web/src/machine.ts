// A machine: the emulator in a worker, and what JavaScript does with it.
import { Agent, type RunOptions, type RunResult } from './agent.js';
import { Console } from './console.js';
import {
    AGENT, type MachineOptions, MONITOR, type Progress, consoleName,
} from './options.js';
import type { FromWorker, ToWorker } from './protocol.js';
import { Share } from './share.js';

const PROMPT = '(tinamou) ';

/** A worker, in a page or under Node. */
export interface Link {
    post(message: ToWorker): void;
    /** Ends the worker and everything in it. */
    terminate(): void;
}

/** Starts the emulator; what a host has to offer. */
export type Start = (
    options: MachineOptions,
    receive: (message: FromWorker) => void,
    progress: (progress: Progress) => void,
) => Promise<Link>;

export interface MachineEvents {
    /** The emulator has ended with this status, or the guest's entrypoint told its exit code. */
    exit: { code: number; entrypoint: number | null };
    /** The emulator broke; what it said. */
    panic: { message: string };
    /** The emulator itself printed something. */
    message: { text: string };
    /** The guest printed something on console `index`. */
    output: { index: number; bytes: Uint8Array };
    state: { state: 'running' | 'paused' | 'ended' };
}

type Listener<K extends keyof MachineEvents> = (event: MachineEvents[K]) => void;

export class Machine {
    /** The first console (ttyS0), and all of them. */
    readonly console: Console;
    readonly consoles: Console[] = [];
    /** Settled when the machine has ended. */
    readonly ended: Promise<MachineEvents['exit']>;

    readonly #lines: (Console | Agent | null)[] = [];
    readonly #numbers = new Map<string, number>();
    readonly #shares = new Map<string, Share>();
    readonly #listeners = new Map<string, Set<(event: never) => void>>();
    readonly #calls = new Map<number, (bytes: Uint8Array | null) => void>();
    readonly #agent: Agent | null;
    #link: Link | null = null;
    #nextCall = 0;
    #monitorText = '';
    #monitorAnswer: ((text: string) => void) | null = null;
    #monitorTurn: Promise<unknown> = Promise.resolve();
    #said = '';
    #state: MachineEvents['state']['state'] = 'running';
    #entrypoint: number | null = null;
    #end: (exit: MachineEvents['exit']) => void = () => {};

    private constructor(options: MachineOptions) {
        this.ended = new Promise((resolve) => {
            this.#end = resolve;
        });
        for (let index = 0; index <= (options.consoles ?? 0); index++) {
            const name = consoleName(index);
            const line = {
                input: (bytes: Uint8Array) => this.#input(name, bytes),
                resize: (columns: number, rows: number) => this.#resize(name, columns, rows),
            };
            const console = new Console(line);
            console.onOutput((bytes) => this.#emit('output', { index, bytes }));
            this.consoles.push(console);
        }
        this.console = this.consoles[0] as Console;
        const wire = { write: async (bytes: Uint8Array) => this.#input(AGENT, bytes) };
        const onExit = (code: number) => {
            this.#entrypoint = code;
        };
        this.#agent = options.control === false ? null : new Agent(wire, onExit);
        for (const name of Object.keys(options.shares ?? {})) {
            this.#shares.set(name, new Share(name, (service, request) => this.#ask(service, request)));
        }
    }

    /** Makes a machine and starts it. For `create` of a host. */
    static async start(options: MachineOptions, start: Start): Promise<Machine> {
        const machine = new Machine(options);
        const progress = options.onProgress ?? (() => {});
        const detach = options.terminal ? machine.console.attach(options.terminal) : null;
        try {
            machine.#link = await start(options, (message) => machine.#receive(message), progress);
            progress({ stage: 'start', name: 'machine', loaded: 0, total: 0 });
            await machine.monitor('info status');
            await machine.#fillShares(options);
        } catch (error) {
            detach?.();
            machine.dispose();
            throw error;
        }
        return machine;
    }

    /** Files of the first share. */
    get fs(): Share {
        const first = this.#shares.values().next().value;
        if (!first) throw new Error('the machine has no share: give it one by the option shares');
        return first;
    }

    /** Files of a share, by its mount tag. */
    share(name: string): Share {
        const share = this.#shares.get(name);
        if (!share) throw new Error(`the machine has no share '${name}'`);
        return share;
    }

    get state(): MachineEvents['state']['state'] {
        return this.#state;
    }

    /** Settled when the guest's agent is there, and `run` starts at once. */
    get ready(): Promise<void> {
        return this.#agentOrError().ready;
    }

    /** Runs a program in the guest; a string is for its shell. */
    run(command: string | string[], options: RunOptions = {}): Promise<RunResult> {
        return this.#agentOrError().run(command, options);
    }

    async pause(): Promise<void> {
        await this.monitor('stop');
        this.#setState('paused');
    }

    async resume(): Promise<void> {
        await this.monitor('cont');
        this.#setState('running');
    }

    async reset(): Promise<void> {
        await this.monitor('system_reset');
    }

    /** Asks the guest to power off, and waits until it has. */
    async powerOff(): Promise<void> {
        await this.#agentOrError().powerOff();
        await this.ended;
    }

    /** Ends the machine at once and lets go of its memory. */
    dispose(): void {
        this.#finish({ code: 0, entrypoint: this.#entrypoint }, 'the machine has been disposed of');
    }

    async [Symbol.asyncDispose](): Promise<void> {
        this.dispose();
    }

    async save(): Promise<never> {
        throw new Error('a machine cannot be saved yet: this emulator makes no snapshots');
    }

    static async restore(): Promise<never> {
        throw new Error('a machine cannot be restored yet: this emulator makes no snapshots');
    }

    /** Runs a command of the emulator's monitor (`help` lists them); returns what it says. */
    monitor(command: string): Promise<string> {
        if (/[\x00-\x1f]/.test(command)) {
            return Promise.reject(new Error('a command of the monitor is one line'));
        }
        const answer = this.#monitorTurn.then(() => this.#askMonitor(command));
        this.#monitorTurn = answer.catch(() => {});
        return answer;
    }

    /** Calls `listener` at every such event; the result ends that. */
    on<K extends keyof MachineEvents>(name: K, listener: Listener<K>): () => void {
        const listeners = this.#listeners.get(name) ?? new Set();
        this.#listeners.set(name, listeners);
        listeners.add(listener as (event: never) => void);
        return () => listeners.delete(listener as (event: never) => void);
    }

    #emit<K extends keyof MachineEvents>(name: K, event: MachineEvents[K]): void {
        for (const listener of this.#listeners.get(name) ?? []) (listener as Listener<K>)(event);
    }

    #agentOrError(): Agent {
        if (!this.#agent) throw new Error('the machine was made without a control port');
        return this.#agent;
    }

    #setState(state: MachineEvents['state']['state']): void {
        if (state === this.#state || this.#state === 'ended') return;
        this.#state = state;
        this.#emit('state', { state });
    }

    #input(name: string, bytes: Uint8Array): void {
        const port = this.#numbers.get(name);
        if (port === undefined || !this.#link) {
            // It is asked for before the emulator has opened its lines.
            this.#early.push([name, bytes]);
            return;
        }
        this.#link.post({ type: 'input', port, bytes });
    }

    readonly #early: [string, Uint8Array][] = [];
    readonly #sizes = new Map<string, [number, number]>();

    #resize(name: string, columns: number, rows: number): void {
        this.#sizes.set(name, [columns, rows]);
        const port = this.#numbers.get(name);
        if (port !== undefined) this.#link?.post({ type: 'resize', port, columns, rows });
        // The serial line has no size; the guest's agent knows its terminal.
        if (name === consoleName(0)) this.#tellSize();
    }

    #tellSize(): void {
        const agent = this.#agent;
        if (!agent) return;
        const tell = () => {
            const [columns, rows] = this.#sizes.get(consoleName(0)) ?? [80, 24];
            return agent.resize(columns, rows);
        };
        agent.ready.then(tell).catch(() => {}); // there is no agent
    }

    #ask(name: string, request: Uint8Array): Promise<Uint8Array | null> {
        if (!this.#link) return Promise.reject(new Error('the machine has ended'));
        const id = this.#nextCall++;
        this.#link.post({ type: 'call', id, name, request });
        return new Promise((resolve) => this.#calls.set(id, resolve));
    }

    async #fillShares(options: MachineOptions): Promise<void> {
        for (const [name, { files }] of Object.entries(options.shares ?? {})) {
            for (const [path, data] of Object.entries(files ?? {})) {
                const folders = path.split('/').filter(Boolean).slice(0, -1);
                for (let depth = 1; depth <= folders.length; depth++) {
                    const folder = folders.slice(0, depth).join('/');
                    const stat = this.share(name).stat(folder);
                    await stat.catch(() => this.share(name).makeFolder(folder));
                }
                await this.share(name).writeFile(path, data);
            }
        }
    }

    #askMonitor(command: string): Promise<string> {
        if (this.#state === 'ended') return Promise.reject(this.#lost());
        return new Promise((resolve, reject) => {
            this.#monitorText = '';
            const fail = () => reject(this.#lost());
            this.#monitorAnswer = (text) => {
                this.#onLost.delete(fail);
                resolve(text);
            };
            this.#onLost.add(fail);
            this.#input(MONITOR, new TextEncoder().encode(`${command}\n`));
        });
    }

    readonly #onLost = new Set<() => void>();

    /** The echo of the command, what it says, and the prompt. */
    #hearMonitor(bytes: Uint8Array): void {
        this.#monitorText += new TextDecoder().decode(bytes);
        if (!this.#monitorText.endsWith(PROMPT) || !this.#monitorAnswer) return;
        const text = this.#monitorText.slice(0, -PROMPT.length).replaceAll('\r\n', '\n');
        const answer = this.#monitorAnswer;
        this.#monitorAnswer = null;
        answer(text.slice(text.indexOf('\n') + 1));
    }

    #lost(): Error {
        const said = this.#said.trim().split('\n').pop();
        return new Error(said || 'the machine has ended');
    }

    #receive(message: FromWorker): void {
        switch (message.type) {
            case 'opened':
                return this.#opened(message.port, message.name);
            case 'output': {
                const line = this.#lines[message.port];
                return line ? line.receive(message.bytes) : this.#hearMonitor(message.bytes);
            }
            case 'drained': {
                const line = this.#lines[message.port];
                return line instanceof Console ? line.drained() : undefined;
            }
            case 'text':
                this.#said = (this.#said + message.text + (message.text.endsWith('\n') ? '' : '\n'))
                    .slice(-8192);
                return this.#emit('message', { text: message.text });
            case 'answer':
                this.#calls.get(message.id)?.(message.bytes);
                this.#calls.delete(message.id);
                return;
            case 'exit':
                return this.#finish({ code: message.code, entrypoint: this.#entrypoint }, '');
            case 'failed':
                this.#said += message.text;
                this.#emit('panic', { message: message.text });
                return this.#finish({ code: 101, entrypoint: this.#entrypoint }, message.text);
        }
    }

    #opened(port: number, name: string): void {
        this.#numbers.set(name, port);
        const index = this.consoles.findIndex((_, at) => consoleName(at) === name);
        const line = name === AGENT ? this.#agent : null;
        this.#lines[port] = line ?? this.consoles[index] ?? null;
        const size = this.#sizes.get(name);
        if (size) this.#resize(name, ...size);
        for (const [early, bytes] of this.#early.splice(0)) this.#input(early, bytes);
    }

    #finish(exit: MachineEvents['exit'], why: string): void {
        if (this.#state === 'ended') return;
        if (exit.code === 101 && !why) this.#emit('panic', { message: this.#said.trim() });
        this.#said ||= why;
        this.#setState('ended');
        this.#link?.terminate();
        this.#link = null;
        const reason = this.#lost();
        for (const fail of this.#onLost) fail();
        for (const answer of this.#calls.values()) answer(null);
        this.#calls.clear();
        this.#agent?.lost(reason);
        for (const console of this.consoles) console.end();
        this.#emit('exit', exit);
        this.#end(exit);
    }
}
