// The worker with the emulator under Node. The emulator ends its thread with the exit status.
import * as fs from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { compileFunction } from 'node:vm';
import { parentPort } from 'node:worker_threads';
import { type FromWorker, type HostModule, type ToWorker, hostModule, obey } from './protocol.js';

const port = parentPort;
if (!port) throw new Error('this file is a worker of the package tinamou');
const send = (message: FromWorker, transfer: ArrayBuffer[] = []) =>
    port.postMessage(message, transfer);
let running: HostModule | null = null;

/** `fs`, but what the emulator prints on stdout and stderr goes to the machine. */
function quietFs(): typeof fs {
    const decoder = new TextDecoder();
    const print = (data: string | NodeJS.ArrayBufferView, rest: unknown[]): number => {
        if (typeof data === 'string') {
            send({ type: 'text', text: data });
            return Buffer.byteLength(data);
        }
        const [offset, length] = rest as [number | undefined, number | undefined];
        const all = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
        const bytes = all.slice(offset ?? 0, (offset ?? 0) + (length ?? all.length));
        send({ type: 'text', text: decoder.decode(bytes) });
        return bytes.length;
    };
    const writeSync = (fd: number, data: string | NodeJS.ArrayBufferView, ...rest: unknown[]) =>
        fd === 1 || fd === 2
            ? print(data, rest)
            : (fs.writeSync as (...all: unknown[]) => number)(fd, data, ...rest);
    return { ...fs, writeSync } as typeof fs;
}

function start(message: ToWorker & { type: 'start' }): void {
    const found = createRequire(message.bundle);
    const ours = quietFs();
    const load = Object.assign(
        (name: string) => (name === 'fs' || name === 'node:fs' ? ours : found(name)),
        found,
    );
    const code = fs.readFileSync(message.bundle, 'utf8');
    const names = ['exports', 'require', 'module', '__filename', '__dirname', 'Module'];
    const run = compileFunction(code, names, {
        filename: message.bundle,
        importModuleDynamically: undefined,
    } as object);
    running = hostModule(message.args, send);
    const exports = {};
    run(exports, load, { exports }, message.bundle, dirname(message.bundle), running);
}

port.on('message', (message: ToWorker) => {
    try {
        if (message.type === 'start') start(message);
        else if (running) obey(running, message, send);
    } catch (error) {
        send({ type: 'failed', text: String(error) });
    }
});
