// What a machine and the worker with its emulator say to each other.

/** A file that the emulator shall find under `name`. */
export interface GivenFile {
    name: string;
    bytes: Uint8Array;
}

export type ToWorker =
    | {
          type: 'start';
          /** Options of the emulator. */
          args: string[];
          files: GivenFile[];
          /** The emulator's compiled module; under Node the emulator finds it by itself. */
          module: WebAssembly.Module | null;
          /** Under Node, the bundle's path. */
          bundle: string;
      }
    | { type: 'input'; port: number; bytes: Uint8Array }
    | { type: 'resize'; port: number; columns: number; rows: number }
    | { type: 'call'; id: number; name: string; request: Uint8Array };

export type FromWorker =
    | { type: 'opened'; port: number; name: string }
    | { type: 'output'; port: number; bytes: Uint8Array }
    | { type: 'drained'; port: number }
    /** What the emulator itself prints. */
    | { type: 'text'; text: string }
    | { type: 'answer'; id: number; bytes: Uint8Array | null; error?: string }
    | { type: 'exit'; code: number }
    /** The emulator is broken. */
    | { type: 'failed'; text: string };

/** The module's functions that `util/src/js_host/wasm.c` makes. */
export interface HostModule {
    arguments: string[];
    host: {
        opened(port: number, name: string): void;
        output(port: number, bytes: Uint8Array): void;
        drained(port: number): void;
    };
    hostInput?(port: number, bytes: Uint8Array): void;
    hostResize?(port: number, columns: number, rows: number): void;
    hostCall?(name: string, request: Uint8Array): Uint8Array | null;
    [key: string]: unknown;
}

type Send = (message: FromWorker, transfer: ArrayBuffer[]) => void;

/** The part of the module that talks to us. */
export function hostModule(args: string[], send: Send): HostModule {
    return {
        arguments: args,
        host: {
            opened: (port, name) => send({ type: 'opened', port, name }, []),
            output: (port, bytes) =>
                send({ type: 'output', port, bytes }, [bytes.buffer as ArrayBuffer]),
            drained: (port) => send({ type: 'drained', port }, []),
        },
    };
}

/** Does what a message asks of a running emulator. */
export function obey(module: HostModule, message: ToWorker, send: Send): void {
    switch (message.type) {
        case 'input':
            return module.hostInput?.(message.port, message.bytes);
        case 'resize':
            return module.hostResize?.(message.port, message.columns, message.rows);
        case 'call': {
            const bytes = module.hostCall?.(message.name, message.request) ?? null;
            const transfer = bytes ? [bytes.buffer as ArrayBuffer] : [];
            return send({ type: 'answer', id: message.id, bytes }, transfer);
        }
    }
}
