// The package under Node: node node.mjs GUEST, the folder of scripts/make-initrd. MODULE is the package's
// module, if not the one in dist. Prints `N passed, N failed`.
import assert from 'node:assert/strict';
import { join } from 'node:path';

const [guest] = process.argv.slice(2);
const { Machine } = await import(process.env.MODULE ?? '../dist/node.js');
const slow = Number(process.env.SLOW ?? 1);
const file = (name) => join(guest, name);
const OPTIONS = {
    bios: file('fw_dynamic.bin'), kernel: file('Image'), initrd: file('initrd.cpio.gz'),
    append: 'console=ttyS0', memory: 256, control: false,
};

// Waits for `what` in a console's output; returns what came before.
function reader(console) {
    let text = '';
    const decoder = new TextDecoder();
    const waiting = new Set();
    console.onOutput((bytes) => {
        text += decoder.decode(bytes, { stream: true });
        waiting.forEach((look) => look());
    });
    const expect = (what, seconds = 60) =>
        new Promise((resolve, reject) => {
            const late = () => reject(new Error(`no ${what}; the console ends with: ${text.slice(-400)}`));
            const timer = setTimeout(late, seconds * slow * 1000);
            const look = () => {
                const at = text.indexOf(what);
                if (at < 0) return;
                clearTimeout(timer);
                waiting.delete(look);
                resolve(text.slice(0, at));
                text = text.slice(at + what.length);
            };
            waiting.add(look);
            look();
        });
    const shell = async (command) => {
        await console.write(`${command}; echo E""ND\n`);
        await expect('\n');
        return (await expect('END')).replaceAll('\r', '');
    };
    return { expect, shell };
}

const tests = {
    async 'mistakes are one sentence'() {
        const refused = (options, pattern) => assert.rejects(Machine.create(options), pattern);
        await refused({ ...OPTIONS, kernel: '/nowhere/Image' }, /^Error: [^\n]*\/nowhere\/Image[^\n]*$/);
        await refused({ ...OPTIONS, args: ['-frobnicate'] }, /^Error: [^\n]*frobnicate[^\n]*$/);
        await refused({ ...OPTIONS, args: ['-chardev', 'js,id=x,mux=on'] }, /not shared/);
        await assert.rejects(Machine.restore(), /no snapshots/);
    },

    async 'a console, files, pause and reset'() {
        const vm = await Machine.create({
            ...OPTIONS, shares: { work: { files: { 'in/hello.txt': 'from the host' } } },
        });
        const { expect, shell } = reader(vm.console);
        await expect('Tinamou guest ready', 120);
        await expect('# ');
        assert.match(await shell('echo $((6*7))'), /^42$/m);
        await shell('for m in virtio_mmio netfs 9pnet 9p 9pnet_virtio; do insmod /lib/modules/$m.ko.xz; done');
        await shell('mkdir /w; mount -t 9p -o trans=virtio,version=9p2000.L work /w');
        assert.match(await shell('cat /w/in/hello.txt'), /from the host/);
        await shell('echo from the guest > /w/out; dd if=/bin/busybox of=/w/large bs=64k count=20');
        assert.equal(await vm.fs.readText('out'), 'from the guest\n');
        assert.equal((await vm.fs.readFile('large')).length, 20 << 16);
        assert.deepEqual((await vm.fs.list()).map((one) => one.name), ['in', 'large', 'out']);
        const big = new Uint8Array(9 << 20).map((_, at) => at % 251);
        await vm.fs.writeFile('/big', big);
        const { createHash } = await import('node:crypto');
        const sum = createHash('sha256').update(big).digest('hex');
        assert.match(await shell('sha256sum /w/big'), new RegExp(sum));
        await vm.fs.remove('out');
        assert.match(await shell('ls /w/out'), /No such file/);
        await assert.rejects(vm.fs.readFile('out'), /^Error: 'out' of the share 'work': there is no such file$/);

        // More input than rings and the guest hold arrives in order.
        const lines = Array.from({ length: 8000 }, (_, at) => `line ${at} of many\n`).join('');
        await vm.console.write('stty -echo; cat > /tmp/typed; md5sum < /tmp/typed; stty echo; echo TY""PED\n');
        await expect('\n');
        await vm.console.write(`${lines}\x04`);
        assert.match(await expect('TYPED'), new RegExp(createHash('md5').update(lines).digest('hex')));
        await vm.pause();
        assert.match(await vm.monitor('info status'), /paused/);
        assert.equal(vm.state, 'paused');
        await vm.resume();
        assert.match(await vm.monitor('info status'), /running/);
        await vm.reset();
        await expect('Tinamou guest ready', 120);
        vm.dispose();
        assert.deepEqual(await vm.ended, { code: 0, entrypoint: null });
        await assert.rejects(vm.console.write('x'), /ended/);
    },
};

let [passed, failed] = [0, 0];
for (const [name, test] of Object.entries(tests)) {
    const started = Date.now();
    try {
        await test();
        passed++;
        console.log(`ok   ${name} (${(Date.now() - started) / 1000} s)`);
    } catch (error) {
        failed++;
        console.log(`FAIL ${name}: ${error.stack}`);
    }
}
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed ? 1 : 0);
