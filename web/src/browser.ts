// The package in a page.
import { fetchBytes } from './fetch.js';
import { Machine as Base, type Link } from './machine.js';
import {
    type MachineOptions, type Progress, type Source, checkDocument, commandLine,
} from './options.js';
import type { FromWorker, GivenFile } from './protocol.js';

export * from './types.js';

/** What this page lacks for a machine: a sentence, or null. */
export function missing(): string | null {
    if (typeof WebAssembly !== 'object') return 'This browser has no WebAssembly.';
    if (!globalThis.isSecureContext) {
        return 'This page must come by https, or from this machine, for threads to be allowed.';
    }
    if (!globalThis.crossOriginIsolated) {
        return 'This page is not isolated: its server has to send the headers '
            + 'Cross-Origin-Opener-Policy: same-origin and Cross-Origin-Embedder-Policy: require-corp.';
    }
    if (typeof SharedArrayBuffer !== 'function') return 'This browser has no shared memory.';
    return null;
}

const BUNDLE = 'tinamou-system-riscv64.js';
const MODULE = 'tinamou_system_riscv64.wasm';

/** In a page only drives take URLs; all else becomes a file of the emulator's own. */
async function fetchAll(
    wanted: { name: string; source: Source }[],
    onProgress: (progress: Progress) => void,
): Promise<GivenFile[]> {
    return Promise.all(
        wanted.map(async ({ name, source }) => {
            if (source instanceof Uint8Array) return { name, bytes: source };
            if (source instanceof ArrayBuffer) return { name, bytes: new Uint8Array(source) };
            return { name, bytes: await fetchBytes(source, 'files', name, onProgress) };
        }),
    );
}

async function start(
    options: MachineOptions,
    receive: (message: FromWorker) => void,
    onProgress: (progress: Progress) => void,
): Promise<Link> {
    const lack = missing();
    if (lack) throw new Error(lack);
    const assets = new URL(options.assets ?? './', new URL(import.meta.url, location.href));
    const emulator = new URL(`emulator/web/${BUNDLE}`, assets);
    const { args, wanted } = commandLine(options, () => null);
    const [code, files] = await Promise.all([
        fetchBytes(new URL(MODULE, emulator), 'emulator', MODULE, onProgress),
        fetchAll(wanted, onProgress),
    ]);
    const module = await WebAssembly.compile(code);
    const script = new URL('worker.js', assets);
    script.searchParams.set('emulator', emulator.href);
    const worker = new Worker(script, { name: 'tinamou' });
    worker.onmessage = (event: MessageEvent<FromWorker>) => receive(event.data);
    worker.onerror = (event) => {
        event.preventDefault();
        receive({ type: 'failed', text: event.message || `'${script}' could not be loaded` });
    };
    worker.postMessage({ type: 'start', args, files, module, bundle: '' });
    return {
        post: (message) => worker.postMessage(message),
        terminate: () => worker.terminate(),
    };
}

export const Machine = {
    /** Makes a machine and starts it. Errors are one sentence. */
    create(options: MachineOptions): Promise<Base> {
        return Base.start(options, start);
    },

    /** The machine of a folder that `launcher convert` made. */
    async open(folder: string | URL, options: MachineOptions = {}): Promise<Base> {
        const base = new URL(folder, location.href);
        const url = new URL('machine.json', base);
        const bytes = await fetchBytes(url, 'files', 'machine.json', () => {});
        return Machine.create({ ...options, ...ofDocument(bytes, base, url.href, options) });
    },

    restore: Base.restore,
};

export type Machine = Base;

/** A folder's options: its drives are read by http, all other files are fetched. */
function ofDocument(
    bytes: Uint8Array,
    base: URL,
    name: string,
    options: MachineOptions,
): Pick<MachineOptions, 'args' | 'files'> {
    const document = checkDocument(parse(bytes, name), name);
    const files: Record<string, Source> = { ...options.files };
    const { disk, ...others } = document.files ?? {};
    for (const file of Object.values(others)) files[file] = new URL(file, base);
    const overlay = document.overlay ?? 'memory';
    const args = document.args.map((word) => {
        if (!disk || !word.startsWith(`file=${disk},`)) return word;
        const far = word.replace(disk, new URL(disk, base).href.replaceAll(',', ',,'));
        return overlay === 'memory' ? far : far.replace('snapshot=on', `overlay=${overlay}`);
    });
    return { args: [...args, ...(options.args ?? [])], files };
}

function parse(bytes: Uint8Array, name: string): unknown {
    try {
        return JSON.parse(new TextDecoder().decode(bytes));
    } catch {
        throw new Error(`${name} is no JSON`);
    }
}
