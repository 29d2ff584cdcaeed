// Drives the page in headless Chromium: node page.mjs DIST GUEST SCREENSHOTS. Prints `N passed, N failed`.
// PLAYWRIGHT is the module playwright-core, CHROMIUM the browser's program.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { serve } from '../../tests/browser/server.mjs';

const [dist, guest, screenshots] = process.argv.slice(2);
const { chromium } = await import(pathToFileURL(process.env.PLAYWRIGHT));
const slow = Number(process.env.SLOW ?? 1);
const OPTIONS = [
    '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

const scratch = await mkdtemp(join(tmpdir(), 'tinamou-page-'));
const FILES = { bios: 'fw_dynamic.bin', kernel: 'Image', initrd: 'initrd.cpio.gz' };
await writeFile(join(scratch, 'machine.json'), JSON.stringify({
    version: 1, title: 'Test', memory: '256M', cpus: 1, files: FILES,
    args: [
        '-m', '256', '-bios', FILES.bios, '-kernel', FILES.kernel, '-initrd', FILES.initrd,
        '-append', 'console=ttyS0 quiet',
    ],
}));
// The machine's folder is m/: its description is ours, its files the guest's.
const FOLDERS = { '': dist, m: guest };
const described = async (page) =>
    page.route('**/m/machine.json', async (route) =>
        route.fulfill({
            body: await readFile(join(scratch, 'machine.json')), contentType: 'application/json',
            headers: { 'Cross-Origin-Resource-Policy': 'same-origin' },
        }));

const poll = async (what, look, seconds = 60) => {
    const until = Date.now() + seconds * slow * 1000;
    for (;;) {
        const found = await look();
        if (found) return found;
        if (Date.now() > until) throw new Error(`no ${what}`);
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
};

// All text of a terminal.
const screen = (page, index = 0) =>
    page.evaluate((at) => {
        const buffer = window.terminals?.[at].buffer.active;
        const line = (row) => buffer.getLine(row).translateToString(true);
        return buffer ? Array.from({ length: buffer.length }, (_, row) => line(row)).join('\n') : '';
    }, index);
const shows = (page, text, seconds, index) =>
    poll(`'${text}'`, async () => (await screen(page, index)).includes(text), seconds);
let commands = 0;
const shell = async (page, command) => {
    const mark = `END${commands++}`;
    await page.keyboard.type(`${command}; echo EN""D${mark.slice(3)}\n`);
    await shows(page, mark);
    const text = await screen(page);
    return text.slice(text.lastIndexOf('; echo EN""D'));
};
const status = (page, wanted) =>
    poll(`status ${wanted}`, async () => wanted.test(await page.locator('#status').textContent()));

const tests = {
    async 'a machine in the page'(browser, url) {
        const context = await browser.newContext({ acceptDownloads: true, colorScheme: 'dark' });
        await context.grantPermissions(['clipboard-read', 'clipboard-write']);
        const page = await context.newPage();
        page.on('pageerror', (error) => console.log(`page: ${error}`));
        await described(page);
        await page.goto(`${url}?machine=m/&consoles=1`);
        await shows(page, 'Tinamou guest ready', 120);
        await page.locator('#pane0').click();
        assert.match(await shell(page, 'echo $((6*7))'), /^42$/m);
        const modules = 'virtio_mmio netfs 9pnet 9p 9pnet_virtio';
        await shell(page, `for m in ${modules}; do insmod /lib/modules/$m.ko.xz; done`);
        await shell(page, 'mkdir /w; mount -t 9p -o trans=virtio,version=9p2000.L share /w');
        assert.equal(await page.title(), 'Test');
        await files(page);
        await buttons(page);
        await clipboard(page);
        await sizes(page);
        await page.screenshot({ path: join(screenshots, 'page-dark.png') });
        await page.emulateMedia({ colorScheme: 'light' });
        await page.setViewportSize({ width: 390, height: 740 });
        await page.screenshot({ path: join(screenshots, 'page-phone.png') });
        await page.keyboard.type('poweroff -f\n');
        await status(page, /ended with exit code 0/);
        await context.close();
    },

    async 'without headers the service worker isolates'(browser, _, bare) {
        const context = await browser.newContext();
        const page = await context.newPage();
        await page.goto(`${bare}?machine=nowhere/`);
        await poll('isolation', () => page.evaluate(() => window.crossOriginIsolated).catch(() => false));
        await status(page, /nowhere\/machine\.json' could not be fetched: the server says 404$/);
        await context.close();
    },

    async 'without isolation it says so'(browser, _, bare) {
        const context = await browser.newContext({ serviceWorkers: 'block' });
        await context.addInitScript(() => sessionStorage.setItem('tinamou-isolated', 'tried'));
        const page = await context.newPage();
        await page.goto(`${bare}?machine=m/`);
        await status(page, /Cross-Origin-Opener-Policy: same-origin/);
        assert.equal(await page.locator('[role=alert]').count(), 1);
        await page.screenshot({ path: join(screenshots, 'page-not-isolated.png') });
        await context.close();
    },
};

async function files(page) {
    await page.locator('#files').click();
    const file = { name: 'in.txt', mimeType: 'text/plain', buffer: Buffer.from('from the page\n') };
    await page.locator('#upload').setInputFiles(file);
    await status(page, /in\.txt is in the share/);
    await page.evaluate(() => {
        const dataTransfer = new DataTransfer();
        dataTransfer.items.add(new File(['dropped here'], 'drop.txt'));
        document.dispatchEvent(new DragEvent('drop', { dataTransfer, cancelable: true }));
    });
    await status(page, /drop\.txt is in the share/);
    await page.locator('#pane0').click();
    assert.match(await shell(page, 'cat /w/in.txt /w/drop.txt'), /from the page\s+dropped here/);
    await shell(page, 'echo from the guest > /w/out.txt');
    await page.locator('#refresh').click();
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Get out.txt' }).click();
    const path = await (await download).path();
    assert.equal(await readFile(path, 'utf8'), 'from the guest\n');
    await page.locator('#files').click();
}

async function buttons(page) {
    await page.locator('#pause').click();
    await status(page, /^Paused$/);
    await page.locator('#pane0').click();
    await page.keyboard.type('echo while pau""sed\n');
    await new Promise((resolve) => setTimeout(resolve, 500));
    assert.doesNotMatch(await screen(page), /while paused/);
    await page.locator('#pause').click();
    await shows(page, 'while paused');
    // The keyboard alone leaves the terminal.
    await page.locator('#pane0').click();
    await page.keyboard.press('Control+Shift+F6');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'pause');
}

async function clipboard(page) {
    await page.evaluate(() => navigator.clipboard.writeText('echo pas""ted\n'));
    await page.locator('#paste').click();
    await shows(page, 'pasted');
    await page.evaluate(() => window.terminals[0].selectAll());
    await page.locator('#copy').click();
    const copied = () => page.evaluate(() => navigator.clipboard.readText());
    await poll('a copy', async () => (await copied()).includes('pasted'), 10);
}

async function sizes(page) {
    await page.getByRole('tab', { name: 'hvc0' }).click();
    const size = () => page.evaluate(() => `${window.terminals[1].rows} ${window.terminals[1].cols}`);
    const before = await size();
    await page.setViewportSize({ width: 700, height: 500 });
    await poll('a new size', async () => (await size()) !== before);
    const wanted = await size();
    await page.getByRole('tab', { name: 'Console' }).click();
    const told = async () => (await shell(page, 'stty size < /dev/hvc0')).includes(`\n${wanted}`);
    await poll(`size ${wanted}`, told);
    await shell(page, 'echo over there > /dev/hvc0');
    await shows(page, 'over there', 20, 1);
}

const server = await serve(FOLDERS);
const bare = await serve(FOLDERS, {});
const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: OPTIONS,
});
let [passed, failed] = [0, 0];
for (const [name, test] of Object.entries(tests)) {
    const started = Date.now();
    try {
        await test(browser, server.url, bare.url);
        passed++;
        console.log(`ok   ${name} (${(Date.now() - started) / 1000} s)`);
    } catch (error) {
        failed++;
        console.log(`FAIL ${name}: ${error.stack}`);
        const pages = browser.contexts().flatMap((context) => context.pages());
        for (const page of pages) {
            await page.screenshot({ path: join(screenshots, 'page-failed.png') }).catch(() => {});
            console.log(await page.locator('#status').textContent().catch(() => ''));
            await page.context().close();
        }
    }
}
await browser.close();
server.close();
bare.close();
await rm(scratch, { recursive: true, force: true });
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
