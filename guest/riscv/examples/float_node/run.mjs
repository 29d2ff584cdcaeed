// Runs each function of the module on its rows (see main.rs), and compares. A call of the helper is
// right by definition; it is counted, and must be rare for the ordinary rows, which come first.
//   node run.mjs FOLDER [-v]
import { readFileSync } from 'node:fs';

const [folder, verbose] = process.argv.slice(2);
const read = (name) => readFileSync(`${folder}/${name}`);
const functions = JSON.parse(read('functions.json'));
const rows = read('rows.bin');
const module = new WebAssembly.Module(read('module.wasm'));

const CPU = 0, ROWS = 65536, ROW_BYTES = 64, ORDINARY_CALLS_MAX = 0.1, SHOWN_MAX = 5;
const memory = new WebAssembly.Memory({ initial: 1 + Math.ceil(rows.length / 65536) });
new Uint8Array(memory.buffer).set(rows, ROWS);
const words = new Uint32Array(memory.buffer);

let called = false;
const helper = () => { called = true; return 0n; };
const imports = { m: memory };
for (const { name, kind } of WebAssembly.Module.imports(module)) {
    if (kind === 'function') imports[name] = helper;
}
const { exports } = new WebAssembly.Instance(module, { e: imports });

// A 64-bit word of a row, for messages.
const hex = (at) => '0x' + words[at + 1].toString(16).padStart(8, '0')
    + words[at].toString(16).padStart(8, '0');

let passed = 0, failed = 0;
functions.forEach(({ name, control, first, end, ordinary }, index) => {
    const run = exports[index];
    let wrong = 0, calls = 0, ordinaryCalls = 0;
    for (let row = first; row < end; row++) {
        const address = ROWS + row * ROW_BYTES, at = address / 4;
        called = false;
        run(CPU, address);
        if (called) {
            calls++;
            if (row - first < ordinary) ordinaryCalls++;
        } else if (words[at + 8] !== words[at + 12] || words[at + 9] !== words[at + 13]
            || words[at + 10] !== words[at + 14] || words[at + 11] !== words[at + 15]) {
            if (wrong++ < SHOWN_MAX) {
                console.log(`${name} ${control}: ${hex(at)} ${hex(at + 2)} ${hex(at + 4)}`
                    + ` flags ${words[at + 6]}: ${hex(at + 12)} flags ${words[at + 14]},`
                    + ` not ${hex(at + 8)} flags ${words[at + 10]}`);
            }
        }
    }
    const count = end - first;
    const share = (part, whole) => `${(100 * part / whole).toFixed(1)} %`;
    if (verbose) {
        console.log(`${name} ${control}: ${count} rows, calls ${share(calls, count)},`
            + ` of the ordinary ${share(ordinaryCalls, ordinary)}`);
    }
    if (ordinaryCalls > ordinary * ORDINARY_CALLS_MAX) {
        console.log(`${name} ${control}: calls the helper for ${share(ordinaryCalls, ordinary)}`
            + ' of ordinary operands');
        failed++;
    }
    passed += count - wrong;
    failed += wrong;
});
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 ? 0 : 1);
