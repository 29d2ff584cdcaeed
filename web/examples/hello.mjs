// Boots a Linux machine, types a command and shows what it says: node hello.mjs GUEST, the folder of
// scripts/make-initrd.
import { Machine } from 'tinamou';

const guest = process.argv[2] ?? 'guest';
const vm = await Machine.create({
    bios: `${guest}/fw_dynamic.bin`,
    kernel: `${guest}/Image`,
    initrd: `${guest}/initrd.cpio.gz`,
    append: 'console=ttyS0 quiet',
    memory: 256,
    control: false, // this guest has no agent
    shares: { work: { files: { 'hello.txt': 'Hello from JavaScript\n' } } },
});
vm.console.onOutput((bytes) => process.stdout.write(bytes));

const text = vm.console.readable.pipeThrough(new TextDecoderStream());
let seen = '';
for await (const piece of text) {
    seen += piece;
    if (seen.includes('# ')) break;
}
await vm.console.write('uname -a; poweroff -f\n');
const { code } = await vm.ended;
process.exit(code);
