// Disks and shares of a page in headless Chromium: node storage.mjs BUNDLE GUEST GUEST_TESTS.
// Prints `N passed, N failed`. The guest has its root file system on a tree of files of the page's
// server (`-fsdev http`), a disk on a server of another origin with an overlay in the page's storage
// (`overlay=opfs:`), and a share in that storage (`-fsdev opfs`). The page is reloaded, and what was
// written must be there. LONG=1 also runs the guest's test of POSIX over the share.
// PLAYWRIGHT is the module playwright-core, CHROMIUM the browser's program.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { chmod, cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Guest, OPTIONS } from './guest.mjs';
import { serve } from './server.mjs';

const [bundle, guest_files, guest_tests] = process.argv.slice(2);
const { chromium } = await import(pathToFileURL(process.env.PLAYWRIGHT));
const here = dirname(fileURLToPath(import.meta.url));
const long = process.env.LONG === '1';

const FILES = ['fw_dynamic.bin', 'Image', 'initrd.cpio.gz'];
const APPLETS = ['sh', 'mount', 'cat', 'sync', 'ls', 'chmod', 'sha256sum', 'poweroff', 'stat', 'touch', 'rm', 'mv',
    'mkdir'];
const INIT = `#!/bin/sh
export PATH=/bin
mount -t 9p -o trans=virtio,version=9p2000.L,msize=131072 share /s
mount -t ext4 /dev/vda /d
echo "root on a server"
PS1='# ' exec sh </dev/console >/dev/console 2>&1
`;
// OPFS has neither hard links (EPERM) nor extended attributes (EOPNOTSUPP), and Linux's 9p without a
// cache maps no file for writing.
const POSIX_WITHOUT = ['hard-links', 'extended-attributes', 'shared-mappings'];

const scratch = await mkdtemp(join(tmpdir(), 'tinamou-storage-'));
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

// The tree with the guest's root file system, and its index.
async function make_tree(tree, random) {
    for (const folder of ['bin', 'dev', 'proc', 'sys', 's', 'd', 'strange %41']) {
        await mkdir(join(tree, folder), { recursive: true });
    }
    await cp(join(guest_files, 'busybox'), join(tree, 'bin/busybox'));
    await chmod(join(tree, 'bin/busybox'), 0o755);
    for (const applet of APPLETS) await symlink('busybox', join(tree, 'bin', applet));
    await writeFile(join(tree, 'init'), INIT, { mode: 0o755 });
    await writeFile(join(tree, 'strange %41', 'näme #1?'), random);
    if (long) await cp(join(guest_tests, 'posix'), join(tree, 'bin/posix'));
    const index = execFileSync('node', [join(here, '../../scripts/make-tree-index'), tree]);
    await writeFile(join(tree, 'INDEX'), index);
}

// A disk with one file.
async function make_disk(folder, random) {
    const content = join(scratch, 'content');
    await mkdir(content);
    await mkdir(folder);
    await writeFile(join(content, 'random'), random);
    const disk = join(folder, 'disk.raw');
    execFileSync('/usr/sbin/mke2fs', ['-q', '-t', 'ext4', '-d', content, disk, '16M']);
}

// A file of the page's storage, as the page's JavaScript has it.
const stored = (page, folder, name) => page.evaluate(async ([folder_name, file_name]) => {
    const top = await navigator.storage.getDirectory();
    const handle = await (await top.getDirectoryHandle(folder_name)).getFileHandle(file_name);
    return (await handle.getFile()).text();
}, [folder, name]);

class Storage {
    constructor(browser, url, disk_url) {
        this.browser = browser;
        this.url = url;
        this.disk_url = disk_url;
    }

    drive() {
        return ['-drive', `file=${this.disk_url}disk.raw,format=raw,overlay=opfs:changes.qcow2`];
    }

    async boot() {
        this.guest = await Guest.start(this.browser, this.url, FILES, [
            '-nographic', '-bios', FILES[0], '-kernel', FILES[1], '-initrd', FILES[2], '-m', '256',
            '-append', 'console=ttyS0 quiet root=tree rootfstype=9p init=/init ' +
                'rootflags=trans=virtio,version=9p2000.L,msize=131072',
            ...this.drive(),
            '-fsdev', 'opfs,id=s,path=shared', '-device', 'virtio-9p-device,fsdev=s,mount_tag=share',
            '-fsdev', `http,id=t,url=${this.url}tree/INDEX`,
            '-device', 'virtio-9p-device,fsdev=t,mount_tag=tree',
        ]);
        await this.ready();
    }

    async ready() {
        await this.guest.expect('root on a server', 120);
        await this.guest.expect('# ', 20);
    }

    async says(command, wanted, seconds) {
        const answer = await this.guest.shell(command, seconds);
        assert.ok(answer.includes(wanted), `${command}: ${answer}`);
    }

    // An emulator in another tab is refused with a sentence that has `wanted` in it.
    async refused(args, wanted) {
        const second = await Guest.start(this.browser, this.url, [], ['-nographic', '-S', ...args]);
        const status = await second.ended();
        const text = await second.text();
        await second.page.close();
        assert.equal(status, 1, text);
        assert.ok(text.includes(wanted), text);
    }
}

async function test(storage, random) {
    const sum = sha256(random);
    await storage.boot();
    await storage.says('sha256sum /d/random', sum);
    await storage.says("sha256sum '/strange %41/näme #1?'", sum);
    await storage.says('touch /x', 'Read-only file system');
    await storage.says('echo on the disk >/d/kept; echo in the share >/s/kept; chmod 640 /s/kept; sync', '');
    await Promise.all([
        storage.refused(storage.drive(), "cannot open 'opfs:changes.qcow2': another page has it open"),
        storage.refused(
            ['-fsdev', 'opfs,id=s,path=shared', '-device', 'virtio-9p-device,fsdev=s,mount_tag=s'],
            "cannot share the folder 'opfs:shared': another page has it open"),
    ]);
    await storage.guest.reload();
    await storage.ready();
    await storage.says('cat /d/kept /s/kept', 'on the disk\r\nin the share');
    await storage.says('stat -c %a /s/kept', '640');
    await storage.says('sha256sum /d/random', sum);
    assert.equal(await stored(storage.guest.page, 'shared', 'kept'), 'in the share\n');
    if (long) {
        const without = POSIX_WITHOUT.map((name) => ` -x ${name}`).join('');
        await storage.says(`/bin/posix /s${without}`, 'passed, 0 failed', 600);
    }
    await storage.guest.type('poweroff -f\n');
    assert.equal(await storage.guest.ended(), 0);
}

const random = randomBytes(3 << 20);
const parts = { count: 0, whole: 0 };
const note = (request, response) => {
    if (!request.url.includes('disk.raw')) return;
    if (response.statusCode === 206) parts.count++;
    else if (request.method !== 'HEAD') parts.whole++;
};
await make_tree(join(scratch, 'tree'), random);
await make_disk(join(scratch, 'disk'), random);
const server = await serve({ '': here, emulator: bundle, files: guest_files, tree: join(scratch, 'tree') });
const disk_server = await serve({ '': join(scratch, 'disk') }, { 'Access-Control-Allow-Origin': '*' }, note);
const browser = await chromium.launchPersistentContext(join(scratch, 'profile'), {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: OPTIONS,
});
const started = Date.now();
let failed = 0;
try {
    await test(new Storage(browser, server.url, disk_server.url), random);
    assert.equal(parts.whole, 0);
    assert.ok(parts.count > 3, `${parts.count} requests for parts`);
    console.log(`ok   disk and shares of a page (${(Date.now() - started) / 1000} s)`);
} catch (error) {
    failed = 1;
    console.log(`FAIL disk and shares of a page: ${error}`);
}
await browser.close();
server.close();
disk_server.close();
await rm(scratch, { recursive: true, force: true });
console.log(`${1 - failed} passed, ${failed} failed`);
process.exit(failed);
