// From an image to a prompt: node folder.mjs LAUNCHER GUEST SCREENSHOTS [ARCHIVE...]. Makes a busybox image with
// odd layers, converts it, runs it under Node (`launcher run --node`) and in headless Chromium from
// `launcher serve`, with an overlay that outlives a reload. With archives of layers: that they make a Debian
// with python3, and how much of it is fetched until its prompt. KIT and PAGE may name the launcher's kit and
// the page. Prints `N passed, N failed`.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { layer, layout } from './image.mjs';

const [launcher, guest, screenshots, ...archives] = process.argv.slice(2).map((path) => resolve(path));
const slow = Number(process.env.SLOW ?? 1);
const scratch = mkdtempSync(join(tmpdir(), 'tinamou-folder-'));
const inside = (...names) => join(scratch, ...names);
process.on('exit', () => rmSync(scratch, { recursive: true, force: true }));

const LONG = `deep/${'a-long-name/'.repeat(15)}${'x'.repeat(200)}`;
const LAYERS = [
    [
        ['bin/', { folder: true }],
        ['bin/busybox', { data: readFileSync(join(guest, 'busybox')), mode: 0o755 }],
        ['bin/sh', { link: 'busybox' }],
        ['tmp/', { folder: true, mode: 0o1777 }],
        ['etc/passwd', 'root:x:0:0::/root:/bin/sh\nguest:x:7:7::/work:/bin/sh\n'],
        ['gone/a', 'a'],
        ['gone/b', 'b'],
        ['opaque/old', 'old'],
        ['kept', 'first'],
    ],
    [
        ['gone/.wh.a', ''],
        ['opaque/.wh..wh..opq', ''],
        ['opaque/new', 'new'],
        [LONG, { data: 'far', xattrs: { 'user.note': 'kept' } }],
        ['kept2', { hard: 'kept' }],
        ['far', { link: `/${LONG}` }],
        ['work/', { folder: true }],
    ],
];
const CHECK = 'ls /gone /opaque; cat /far; stat -c %h /kept2; cat /from/host.txt; '
    + 'echo "$GREETING"; pwd; id -u; hostname';
const EXPECTED = 'far2\nfrom this machine\nhello\n/work\n7\nbird';

const run = (args, options = {}) =>
    spawnSync(launcher, args, { encoding: 'utf8', timeout: 200_000 * slow, ...options });

function convert(image, out, ...more) {
    const places = [['--kit', process.env.KIT], ['--page', process.env.PAGE]];
    const named = places.flatMap(([option, value]) => (value ? [option, value] : []));
    const { status, stderr } = run(['convert', '-q', ...named, image, out, ...more]);
    assert.equal(status, 0, stderr);
}

// What a console shows, without colours and returns.
const plain = (text) => text.replaceAll(/\r|\x1b\[[0-9;?]*[a-zA-Z]/g, '');

const poll = async (what, look, seconds = 60) => {
    const until = Date.now() + seconds * slow * 1000;
    for (;;) {
        const found = await look();
        if (found) return found;
        if (Date.now() > until) throw new Error(`no ${what}`);
        await new Promise((done) => setTimeout(done, 100));
    }
};

// `launcher serve`, with the bytes that it sent for each path.
async function serve(folder) {
    const child = spawn(launcher, ['serve', '--port', '0', '--verbose', folder]);
    const sent = new Map();
    let [url, rest] = ['', ''];
    child.stdout.on('data', (data) => (url += data));
    child.stderr.on('data', (data) => {
        const lines = (rest + data).split('\n');
        rest = lines.pop();
        for (const line of lines) {
            const [, path] = line.split(' ');
            sent.set(path, (sent.get(path) ?? 0) + Number(line.split(' ').pop()));
        }
    });
    await poll('address', () => url.includes('\n'));
    return { url: url.trim(), sent, close: () => child.kill() };
}

const screen = (page) =>
    page.evaluate(() => {
        const buffer = window.terminals?.[0].buffer.active;
        if (!buffer) return '';
        const rows = Array.from({ length: buffer.length }, (_, row) => buffer.getLine(row));
        return rows.map((row) => (row.isWrapped ? '' : '\n') + row.translateToString(true)).join('');
    });
const shows = (page, text, seconds = 50) =>
    poll(`'${text}'`, async () => (await screen(page)).includes(text), seconds);
const status = (page, wanted) =>
    poll(`status ${wanted}`, async () => wanted.test(await page.locator('#status').textContent()));

let browser = null;
async function open(url) {
    const { chromium } = await import(pathToFileURL(process.env.PLAYWRIGHT));
    browser ??= await chromium.launch({
        executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
        args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync'],
    });
    const page = await browser.newPage();
    page.on('pageerror', (error) => console.log(`page: ${error}`));
    page.on('console', (message) => process.env.VERBOSE && console.log(`page: ${message.text()}`));
    await page.goto(url);
    return page;
}

const tests = {
    async 'an image becomes a folder'() {
        layout(inside('image'), LAYERS.map(layer), { Cmd: ['sh'], Env: ['PATH=/bin'], WorkingDir: '/' });
        const volume = inside('volume.txt');
        const { writeFileSync } = await import('node:fs');
        writeFileSync(volume, 'from this machine\n');
        convert(inside('image'), inside('out'), '-e', 'GREETING=hello', '-w', '/work', '-u', 'guest',
            '-v', `${volume}:/from/host.txt`, '--hostname', 'bird', '--title', 'Odd layers',
            '--memory', '256M', '--cpus', '2', '--append', 'test.word=1', '--overlay', 'opfs:odd');
    },

    async 'under Node'() {
        const input = `${CHECK}; nproc; cat /proc/cmdline; exit 3\n`;
        const { status: code, stdout, stderr } = run(['run', '--node', inside('out')], { input });
        const text = plain(stdout);
        assert.equal(code, 3, text + stderr);
        assert.match(text, /\/gone:\nb\n\n\/opaque:\nnew\n/);
        assert.ok(text.includes(`${EXPECTED}\n2\n`), text);
        assert.match(text, /^console=\S+ quiet test\.word=1$/m);
    },

    async 'in a page'() {
        const server = await serve(inside('out'));
        try {
            let page = await open(server.url);
            await shows(page, '~ $ ');
            assert.equal(await page.title(), 'Odd layers');
            await page.locator('#pane0').click();
            await page.keyboard.type(`clear; ${CHECK}; echo over > /tmp/kept; sync; echo EN""D\n`);
            await shows(page, 'END');
            const text = await screen(page);
            assert.ok(text.includes(`/gone:\nb\n\n/opaque:\nnew\n${EXPECTED}\nEND`), text);
            await page.screenshot({ path: join(screenshots, 'folder.png') });
            const buffer = Buffer.from('into the guest');
            await page.locator('#upload').setInputFiles({ name: 'in', mimeType: 'text/plain', buffer });
            await status(page, /in is in the share/);
            await page.locator('#pane0').click();
            await page.keyboard.type('clear; cat /mnt/share/in\n');
            await shows(page, '\ninto the guest');
            const emulator = [...server.sent].filter(([path]) => path.startsWith('/emulator/'));
            const bytes = emulator.reduce((all, [, count]) => all + count, 0);
            console.log(`     the emulator's download: ${bytes} bytes`);
            assert.ok(bytes < 1.5 * (1 << 20), `${bytes}`);
            await page.reload();
            await shows(page, '~ $ ');
            await page.locator('#pane0').click();
            await page.keyboard.type('cat /tmp/kept; exit 5\n');
            await status(page, /ended with exit code 5/);
            assert.match(await screen(page), /^over$/m);
            await page.close();
        } finally {
            server.close();
        }
    },
};

if (archives.length) {
    tests['a large Debian with python3'] = async () => {
        layout(inside('debian'), archives, { Cmd: ['/bin/bash'], Env: ['PATH=/usr/bin:/bin'] });
        convert(inside('debian'), inside('large'));
        const input = 'python3.13 -c "import sys; print(6 * 7, sys.platform); sys.exit(9)"; exit $?\n';
        const ran = run(['run', '--node', inside('large')], { input });
        assert.match(plain(ran.stdout), /^42 linux$/m);
        assert.equal(ran.status, 9);
        const server = await serve(inside('large'));
        const started = Date.now();
        const page = await open(server.url);
        await shows(page, 'root@tinamou:/#', 200);
        const seconds = (Date.now() - started) / 1000;
        const part = (wanted) => [...server.sent].filter(([path]) => wanted.test(path))
            .reduce((all, [, count]) => all + count, 0);
        const names = readdirSync(inside('large')).filter((name) => /^disk/.test(name));
        const all = names.reduce((sum, name) => sum + statSync(inside('large', name)).size, 0);
        const fetched = part(/^\/disk/);
        const mib = (count) => `${(count / (1 << 20)).toFixed(1)} MiB`;
        const image = archives.reduce((sum, name) => sum + statSync(name).size, 0);
        console.log(`     an image of ${mib(image)} has a disk of ${mib(all)}; to the prompt (${seconds} s) `
            + `${mib(fetched)} of it are fetched, ${((100 * fetched) / all).toFixed(1)} %, and `
            + `${mib(part(/./) - fetched)} besides`);
        assert.ok(fetched < 0.15 * all);
        await page.close();
        server.close();
    };
}

let [passed, failed] = [0, 0];
for (const [name, test] of Object.entries(tests)) {
    if (/page|large/.test(name) && !process.env.PLAYWRIGHT) continue;
    if (!name.includes(process.env.ONLY ?? '')) continue;
    const started = Date.now();
    try {
        await test();
        passed++;
        console.log(`ok   ${name} (${(Date.now() - started) / 1000} s)`);
    } catch (error) {
        failed++;
        console.log(`FAIL ${name}: ${error.stack}`);
        for (const page of browser?.contexts().flatMap((context) => context.pages()) ?? []) {
            await page.screenshot({ path: join(screenshots, 'folder-failed.png') }).catch(() => {});
            console.log(await page.locator('#status').textContent().catch(() => ''));
            console.log(await screen(page).catch(() => ''));
            await page.close();
        }
    }
}
await browser?.close();
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
