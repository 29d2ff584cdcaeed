// The package under Node.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { fetchBytes } from './fetch.js';
import { Machine as Base, type Link } from './machine.js';
import {
    type MachineOptions, type Progress, type Source, checkDocument, commandLine,
} from './options.js';
import type { FromWorker } from './protocol.js';

export * from './types.js';

/** What this host lacks for a machine: a sentence, or null. */
export function missing(): string | null {
    return Number(process.versions.node.split('.')[0]) >= 20
        ? null
        : `This is Node ${process.versions.node}; 20 or newer is needed.`;
}

const isRemote = (source: Source) => /^https?:/.test(String(source));

/** Files of the host go by their paths. */
function refer(source: Source): string | null {
    if (source instanceof URL) return source.protocol === 'file:' ? fileURLToPath(source) : null;
    return typeof source === 'string' && !isRemote(source) ? resolve(source) : null;
}

async function bytesOf(
    name: string,
    source: Source,
    onProgress: (progress: Progress) => void,
): Promise<Uint8Array> {
    if (source instanceof Uint8Array) return source;
    if (source instanceof ArrayBuffer) return new Uint8Array(source);
    return fetchBytes(source, 'files', name, onProgress);
}

async function start(
    options: MachineOptions,
    receive: (message: FromWorker) => void,
    onProgress: (progress: Progress) => void,
): Promise<Link> {
    const lack = missing();
    if (lack) throw new Error(lack);
    const assets = new URL(options.assets ?? './', import.meta.url);
    const bundle = fileURLToPath(new URL('emulator/node/tinamou-system-riscv64.js', assets));
    const folder = mkdtempSync(join(tmpdir(), 'tinamou-'));
    const clean = () => rmSync(folder, { recursive: true, force: true });
    process.once('exit', clean);
    try {
        const { args, wanted } = commandLine(options, refer);
        for (const { name, source } of wanted) {
            writeFileSync(join(folder, name), await bytesOf(name, source, onProgress));
        }
        // Names of ours become paths wherever they stand for a file.
        const named = args.map((word) => inFolder(word, wanted.map(({ name }) => name), folder));
        return launch(new URL('worker-node.cjs', assets), bundle, named, receive, () => {
            process.removeListener('exit', clean);
            clean();
        });
    } catch (error) {
        clean();
        throw error;
    }
}

function inFolder(word: string, names: string[], folder: string): string {
    if (names.includes(word)) return join(folder, word);
    return word.replace(/\bfile=([^,]+)/, (all, name: string) =>
        names.includes(name) ? `file=${join(folder, name).replaceAll(',', ',,')}` : all,
    );
}

function launch(
    script: URL,
    bundle: string,
    args: string[],
    receive: (message: FromWorker) => void,
    clean: () => void,
): Link {
    // Files that one thread opens are closed by others.
    const worker = new Worker(script, { trackUnmanagedFds: false });
    worker.on('message', receive);
    worker.on('error', (error) => receive({ type: 'failed', text: error.message }));
    worker.on('exit', (code) => {
        clean();
        receive({ type: 'exit', code });
    });
    worker.postMessage({ type: 'start', args, files: [], module: null, bundle });
    return {
        post: (message) => worker.postMessage(message),
        terminate: () => void worker.terminate(),
    };
}

export const Machine = {
    /** Makes a machine and starts it. Errors are one sentence. */
    create(options: MachineOptions): Promise<Base> {
        return Base.start(options, start);
    },

    /** The machine of a folder that `launcher convert` made. */
    async open(folder: string | URL, options: MachineOptions = {}): Promise<Base> {
        const path = folder instanceof URL ? fileURLToPath(folder) : resolve(folder);
        const name = join(path, 'machine.json');
        const document = checkDocument(JSON.parse(readFileSync(name, 'utf8')), name);
        const names = Object.values(document.files ?? {});
        const args = document.args.map((word) => inFolder(word, names, path));
        return Machine.create({ ...options, args: [...args, ...(options.args ?? [])] });
    },

    restore: Base.restore,
};

export type Machine = Base;
