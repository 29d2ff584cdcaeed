// Boots Debian's kernel in headless Chromium, with 1 and with 4 harts, types into its shell and reads
// what it answers: node boot.mjs BUNDLE GUEST SCREENSHOTS. Prints `N passed, N failed`.
// PLAYWRIGHT is the module playwright-core, CHROMIUM the browser's program.
import { pathToFileURL } from 'node:url';
import { dirname, join } from 'node:path';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { Guest, OPTIONS } from './guest.mjs';
import { serve } from './server.mjs';

const [bundle, guest, screenshots] = process.argv.slice(2);
const { chromium } = await import(pathToFileURL(process.env.PLAYWRIGHT));
const here = dirname(new URL(import.meta.url).pathname);

const FILES = ['fw_dynamic.bin', 'Image', 'initrd.cpio.gz'];
const ARGS = [
    '-nographic', '-bios', FILES[0], '-kernel', FILES[1], '-initrd', FILES[2],
    '-append', 'console=ttyS0', '-m', '512',
];

async function boot(browser, url, extra) {
    const guest = await Guest.start(browser, url, FILES, [...ARGS, ...extra]);
    await guest.expect('Tinamou guest ready', 120);
    await guest.expect('# ', 20);
    return guest;
}

async function counter(guest, name) {
    await guest.type('\x01c');
    await guest.expect("type 'help'", 20);
    await guest.type('info jit\n');
    const text = await guest.expect('instantiation', 20);
    await guest.type('\x01c');
    return Number(new RegExp(`${name}\\s+(\\d+)`).exec(text)?.[1]);
}

async function test(browser, url, harts) {
    const guest = await boot(browser, url, ['-smp', String(harts)]);
    const check = async (command, wanted) => {
        const answer = await guest.shell(command);
        if (!answer.includes(wanted)) throw new Error(`${command}: ${answer}`);
    };
    await check('echo $((6*7))', '42');
    await check('echo harts $(grep -c ^processor /proc/cpuinfo)', `harts ${harts}`);
    await check('i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo sum $i', 'sum 20000');
    const regions = await counter(guest, 'wasm regions');
    if (!(regions > 50)) throw new Error(`${regions} regions`);
    await guest.page.screenshot({ path: join(screenshots, `chromium-${harts}.png`) });
    await guest.type('\npoweroff -f\n');
    const status = await guest.ended();
    if (status !== 0) throw new Error(`exit status ${status}`);
    await guest.page.close();
}

const profile = await mkdtemp(join(tmpdir(), 'tinamou-chromium-'));
const server = await serve({ '': here, emulator: bundle, files: guest });
const browser = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: OPTIONS,
});
let [passed, failed] = [0, 0];
for (const harts of [1, 4]) {
    const started = Date.now();
    try {
        await test(browser, server.url, harts);
        passed++;
        console.log(`ok   ${harts} harts (${(Date.now() - started) / 1000} s)`);
    } catch (error) {
        failed++;
        console.log(`FAIL ${harts} harts: ${error}`);
    }
}
await browser.close();
server.close();
await rm(profile, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
