// What a machine is made of, and the emulator's options for it.
import type { TerminalLike } from './console.js';

/** Bytes, or where they are: a URL (in a page also a relative one), or under Node a path. */
export type Source = string | URL | Uint8Array | ArrayBuffer;

export interface Disk {
    source: Source;
    /** `raw` unless said otherwise. */
    format?: 'raw' | 'qcow2' | 'chunked';
    readonly?: boolean;
    /** What the guest writes stays in memory; for sources that are not bytes it always does. */
    snapshot?: boolean;
}

export interface ShareOptions {
    /** Bytes it may take, as `64M`. */
    size?: string;
    /** Files that are there from the start. */
    files?: Record<string, Uint8Array | string>;
}

export interface Progress {
    stage: 'emulator' | 'files' | 'start';
    /** What is being fetched. */
    name: string;
    loaded: number;
    /** 0 if the server does not say. */
    total: number;
}

export interface MachineOptions {
    kernel?: Source;
    initrd?: Source;
    /** The firmware; or `none`. */
    bios?: Source;
    /** The kernel's command line. */
    append?: string;
    /** In MiB, or with a unit: `1G`. */
    memory?: number | string;
    cpus?: number;
    disks?: (Source | Disk)[];
    /** Folders in memory, by their mount tags; `vm.fs` is the first one. */
    shares?: Record<string, ShareOptions>;
    /** Consoles besides the serial line: hvc0, hvc1, ... */
    consoles?: number;
    /** Shows the first console, as xterm.js's Terminal does. */
    terminal?: TerminalLike;
    /** Without it there is no control port, and no `vm.run`. */
    control?: boolean;
    /** More options for the emulator, as on its command line. */
    args?: string[];
    /** Files that `args` name, in a page; under Node all files of the host are there. */
    files?: Record<string, Source>;
    onProgress?: (progress: Progress) => void;
    /** Where `worker.js` and `emulator/` are, if not beside this module. */
    assets?: string | URL;
}

/** Names of chardevs, which the machine finds its lines by. */
export const MONITOR = 'monitor';
export const AGENT = 'agent';
export const consoleName = (index: number) => `console${index}`;

/** A source that the emulator shall find as a file. */
export interface Wanted {
    name: string;
    source: Source;
}

/** The emulator's command line, and the files that it names. */
export interface CommandLine {
    args: string[];
    wanted: Wanted[];
}

/** `refer` says how the emulator names a source, or null if it has to be a file of ours. */
export function commandLine(
    options: MachineOptions,
    refer: (source: Source) => string | null,
): CommandLine {
    const wanted: Wanted[] = [];
    const file = (name: string, source: Source) => {
        const there = refer(source);
        if (there !== null) return there;
        wanted.push({ name, source });
        return name;
    };
    const args = ['-display', 'none'];
    const { kernel, initrd, bios, append, memory, cpus } = options;
    if (bios === 'none') args.push('-bios', 'none');
    else if (bios !== undefined) args.push('-bios', file('bios', bios));
    if (kernel !== undefined) args.push('-kernel', file('kernel', kernel));
    if (initrd !== undefined) args.push('-initrd', file('initrd', initrd));
    if (append !== undefined) args.push('-append', append);
    if (memory !== undefined) args.push('-m', String(memory));
    if (cpus !== undefined) args.push('-smp', String(cpus));
    (options.disks ?? []).forEach((disk, index) => args.push('-drive', drive(disk, index, file)));
    for (const [tag, share] of Object.entries(options.shares ?? {})) {
        args.push('-fsdev', `memory,id=${tag},size=${share.size ?? '256M'}`);
        args.push('-device', `virtio-9p-device,fsdev=${tag},mount_tag=${tag}`);
    }
    args.push(...lines(options));
    for (const [name, source] of Object.entries(options.files ?? {})) wanted.push({ name, source });
    args.push(...(options.args ?? []));
    return { args, wanted };
}

function drive(
    disk: Source | Disk,
    index: number,
    file: (name: string, source: Source) => string,
): string {
    const isDisk = typeof disk === 'object' && 'source' in disk;
    const { source, format = 'raw', readonly, snapshot } = isDisk ? disk : ({ source: disk } as Disk);
    const path = file(`disk${index}`, source).replaceAll(',', ',,');
    const isBytes = source instanceof Uint8Array || source instanceof ArrayBuffer;
    const parts = [`file=${path}`, `format=${format}`, 'if=virtio'];
    if (readonly) parts.push('readonly=on');
    else if (snapshot ?? !isBytes) parts.push('snapshot=on');
    return parts.join(',');
}

function lines(options: MachineOptions): string[] {
    const js = (id: string) => ['-chardev', `js,id=${id}`];
    const args = [...js(MONITOR), '-monitor', `chardev:${MONITOR}`];
    args.push(...js(consoleName(0)), '-serial', `chardev:${consoleName(0)}`);
    const count = options.consoles ?? 0;
    const control = options.control ?? true;
    if (count > 0 || control) args.push('-device', 'virtio-serial-device');
    for (let index = 1; index <= count; index++) {
        args.push(...js(consoleName(index)));
        args.push('-device', `virtconsole,chardev=${consoleName(index)}`);
    }
    if (control) {
        args.push(...js(AGENT));
        args.push('-device', `virtserialport,chardev=${AGENT},name=org.tinamou.agent.0`);
    }
    return args;
}

/** What `machine.json` of a converted folder says (docs/converting.md). */
export interface MachineDocument {
    version: number;
    title?: string;
    memory?: number | string;
    cpus?: number;
    args: string[];
    files?: Record<string, string>;
    /** Where a page keeps what the guest writes: 'memory', or 'opfs:' and a name. */
    overlay?: string;
}

/** Checks a document that came from outside. */
export function checkDocument(value: unknown, name: string): MachineDocument {
    const document = value as Partial<MachineDocument> | null;
    const isText = (word: unknown) => typeof word === 'string';
    if (typeof document !== 'object' || document === null || document.version !== 1) {
        throw new Error(`${name} is no description of a machine of version 1`);
    }
    if (!Array.isArray(document.args) || !document.args.every(isText)) {
        throw new Error(`${name} has no list 'args' of words`);
    }
    const overlay = document.overlay ?? 'memory';
    if (overlay !== 'memory' && !/^opfs:[\w-][\w.-]*$/.test(overlay)) {
        throw new Error(`${name} has an 'overlay' that is neither memory nor opfs:NAME`);
    }
    return document as MachineDocument;
}
