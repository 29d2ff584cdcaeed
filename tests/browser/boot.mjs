// Boots Debian's kernel in headless Chromium, with 1 and with 4 harts, types into its shell and reads
// what it answers: node boot.mjs BUNDLE GUEST SCREENSHOTS. Prints `N passed, N failed`.
// PLAYWRIGHT is the module playwright-core, CHROMIUM the browser's program.
import { pathToFileURL } from 'node:url';
import { dirname, join } from 'node:path';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { serve } from './server.mjs';

const [bundle, guest, screenshots] = process.argv.slice(2);
const slow = Number(process.env.SLOW ?? 1);
const { chromium } = await import(pathToFileURL(process.env.PLAYWRIGHT));
const here = dirname(new URL(import.meta.url).pathname);

// Nothing but the page's own server is to be reached; CI's machines run it as root.
const OPTIONS = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
];
const FILES = ['fw_dynamic.bin', 'Image', 'initrd.cpio.gz'];
const ARGS = [
    '-nographic', '-bios', FILES[0], '-kernel', FILES[1], '-initrd', FILES[2],
    '-append', 'console=ttyS0', '-m', '512',
];

class Guest {
    constructor(page) {
        this.page = page;
        this.seen = 0;
    }

    static async boot(browser, url, extra) {
        const page = await browser.newPage();
        page.on('pageerror', (error) => console.log(`page: ${error}`));
        const args = [...ARGS, ...extra].join(',');
        await page.goto(`${url}?files=${FILES}&args=${encodeURIComponent(args)}`);
        const guest = new Guest(page);
        await guest.expect('Tinamou guest ready', 120);
        await guest.expect('# ', 20);
        return guest;
    }

    text() {
        return this.page.evaluate(() => document.getElementById('console').textContent);
    }

    // Waits for `what` behind what was found last; returns the text up to it.
    async expect(what, seconds) {
        const until = Date.now() + seconds * slow * 1000;
        for (;;) {
            const text = (await this.text()).slice(this.seen);
            const at = text.indexOf(what);
            if (at >= 0) {
                this.seen += at + what.length;
                return text.slice(0, at);
            }
            if (Date.now() > until) throw new Error(`no ${what}; the page ends with:\n${text.slice(-800)}`);
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
    }

    type(text) {
        return this.page.evaluate((keys) => window.type(keys), text);
    }

    async shell(command) {
        await this.type(`${command}; echo E""ND\n`);
        return this.expect('END', 60);
    }

    async counter(name) {
        await this.type('\x01c');
        await this.expect("type 'help'", 20);
        await this.type('info jit\n');
        const text = await this.expect('instantiation', 20);
        await this.type('\x01c');
        return Number(new RegExp(`${name}\\s+(\\d+)`).exec(text)?.[1]);
    }
}

async function test(browser, url, harts) {
    const guest = await Guest.boot(browser, url, ['-smp', String(harts)]);
    const check = async (command, wanted) => {
        const answer = await guest.shell(command);
        if (!answer.includes(wanted)) throw new Error(`${command}: ${answer}`);
    };
    await check('echo $((6*7))', '42');
    await check('echo harts $(grep -c ^processor /proc/cpuinfo)', `harts ${harts}`);
    await check('i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; echo sum $i', 'sum 20000');
    const regions = await guest.counter('wasm regions');
    if (!(regions > 50)) throw new Error(`${regions} regions`);
    await guest.page.screenshot({ path: join(screenshots, `chromium-${harts}.png`) });
    await guest.type('\npoweroff -f\n');
    await guest.page.waitForFunction(() => window.ended !== null, null, { timeout: 30000 * slow });
    const status = await guest.page.evaluate(() => window.ended);
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
