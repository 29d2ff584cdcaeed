// A bare page around the emulator: `?files=a,b&args=-m,256` fetches files/a and files/b into the
// emulator's file system and starts it with these arguments; `arg=-m&arg=256` is for arguments with
// commas in them. Without arguments nothing starts. What it prints is text of the page;
// `type(text)` is the keyboard. `ended` becomes the exit status.
'use strict';

const query = new URLSearchParams(location.search);
const list = (name) => (query.get(name) ?? '').split(',').filter(Boolean);
const screen = document.getElementById('console');
const decoder = new TextDecoder();
const encoder = new TextEncoder();
let keyboard = () => {};

window.ended = null;
window.type = (text) => keyboard(encoder.encode(text));
window.show = (text) => screen.append(text);

async function fetchFile(name) {
    const response = await fetch(`files/${name}`);
    if (!response.ok) throw new Error(`files/${name}: ${response.status}`);
    return [name, new Uint8Array(await response.arrayBuffer())];
}

async function start() {
    const args = [...list('args'), ...query.getAll('arg')];
    if (!args.length) return;
    if (!window.crossOriginIsolated) {
        throw new Error('this page is not isolated: it has to come with COOP and COEP headers');
    }
    const files = await Promise.all(list('files').map(fetchFile));
    window.Module = {
        arguments: args,
        preRun: [() => files.forEach(([name, bytes]) => window.Module.FS.writeFile(name, bytes))],
        console: {
            start: (push) => { keyboard = push; },
            write: (bytes) => window.show(decoder.decode(bytes, { stream: true })),
        },
        print: (line) => window.show(`${line}\n`),
        printErr: (line) => window.show(`${line}\n`),
        onExit: (status) => { window.ended = status; },
    };
    const script = document.createElement('script');
    script.src = 'emulator/tinamou-system-riscv64.js';
    document.body.append(script);
}

start().catch((error) => window.show(`${error}\n`));
