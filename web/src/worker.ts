// The worker with the emulator in a page; the emulator's threads are workers of the same script, which
// finds the emulator's address in its own (`?emulator=`).
import { type FromWorker, type HostModule, type ToWorker, hostModule, obey } from './protocol.js';

const scope = globalThis as unknown as {
    name: string;
    location: Location;
    importScripts(url: string): void;
    postMessage(message: FromWorker, transfer: Transferable[]): void;
    onmessage: ((event: MessageEvent<ToWorker>) => void) | null;
    Module?: HostModule;
};
const emulator = new URL(scope.location.href).searchParams.get('emulator') ?? '';
const send = (message: FromWorker, transfer: ArrayBuffer[] = []) =>
    scope.postMessage(message, transfer);

interface FileSystem {
    writeFile(name: string, bytes: Uint8Array): void;
}

function start(message: ToWorker & { type: 'start' }): void {
    const { files, module } = message;
    const emscripten = hostModule(message.args, send);
    scope.Module = emscripten;
    emscripten.print = (text: string) => send({ type: 'text', text });
    emscripten.printErr = emscripten.print;
    emscripten.onExit = (code: number) => send({ type: 'exit', code });
    emscripten.onAbort = (what: unknown) => send({ type: 'failed', text: String(what) });
    emscripten.instantiateWasm = (
        imports: WebAssembly.Imports,
        done: (instance: WebAssembly.Instance, module: WebAssembly.Module) => void,
    ) => {
        if (!module) throw new Error('there is no module');
        WebAssembly.instantiate(module, imports).then(
            (instance) => done(instance, module),
            (error) => send({ type: 'failed', text: String(error) }),
        );
        return {};
    };
    emscripten.preRun = [
        () => {
            const fs = emscripten.FS as FileSystem;
            for (const { name, bytes } of files.splice(0)) fs.writeFile(name, bytes);
        },
    ];
    scope.importScripts(emulator);
}

if (scope.name === 'em-pthread') {
    scope.importScripts(emulator);
} else {
    scope.onmessage = ({ data }) => {
        try {
            if (data.type === 'start') start(data);
            else if (scope.Module) obey(scope.Module, data, send);
        } catch (error) {
            send({ type: 'failed', text: String(error) });
        }
    };
}
