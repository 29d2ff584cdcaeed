// Container images for the tests, written without any tool: OCI layouts of layers that are lists of entries
// [name, contents or {link, hard, folder, xattrs, mode, data}], or archives that are there already.
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const octal = (number, length) => number.toString(8).padStart(length - 1, '0');

function header(name, kind, size, mode, link) {
    const block = Buffer.alloc(512);
    const put = (text, at, length) => block.write(text.slice(0, length), at);
    put(name, 0, 100);
    put(octal(mode, 8), 100, 8);
    put(octal(0, 8), 108, 8);
    put(octal(0, 8), 116, 8);
    put(octal(size, 12), 124, 12);
    put(octal(1_700_000_000, 12), 136, 12);
    put(' '.repeat(8), 148, 8);
    put(kind, 156, 1);
    put(link, 157, 100);
    put('ustar\0' + '00', 257, 8);
    const sum = block.reduce((all, byte) => all + byte, 0);
    put(`${octal(sum, 7)}\0 `, 148, 8);
    return block;
}

function padded(bytes) {
    return Buffer.concat([bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

// A record of a pax header tells its own length.
function record(key, value) {
    const rest = Buffer.from(` ${key}=${value}\n`);
    let length = rest.length + 1;
    while (String(length).length + rest.length !== length) length++;
    return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** A layer as a tar archive. */
export function layer(entries) {
    const blocks = entries.flatMap(([name, what]) => {
        const { link, hard, folder, xattrs = {}, mode, data = '' } =
            typeof what === 'string' || Buffer.isBuffer(what) ? { data: what } : what;
        const bytes = Buffer.from(data);
        const kind = hard ? '1' : link ? '2' : folder ? '5' : '0';
        const target = hard ?? link ?? '';
        const records = Object.entries(xattrs).map(([key, value]) => record(`SCHILY.xattr.${key}`, value));
        if (Buffer.byteLength(name) > 100) records.push(record('path', name));
        if (Buffer.byteLength(target) > 100) records.push(record('linkpath', target));
        const pax = Buffer.concat(records);
        const before = pax.length ? [header('pax', 'x', pax.length, 0o644, ''), padded(pax)] : [];
        const own = header(name, kind, bytes.length, mode ?? (folder ? 0o755 : 0o644), target);
        return [...before, own, padded(bytes)];
    });
    return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Writes an OCI layout; `layers` are bytes, or names of archives. */
export function layout(folder, layers, config) {
    mkdirSync(join(folder, 'blobs/sha256'), { recursive: true });
    const blob = (bytes, mediaType, path = '') => {
        const hash = sha256(bytes);
        const to = join(folder, 'blobs/sha256', hash);
        if (path) copyFileSync(path, to);
        else writeFileSync(to, bytes);
        return { mediaType, digest: `sha256:${hash}`, size: statSync(to).size };
    };
    const type = (what) => `application/vnd.oci.image.${what}`;
    const descriptors = layers.map((one) =>
        typeof one === 'string'
            ? blob(readFileSync(one), type('layer.v1.tar'), one)
            : blob(one, type('layer.v1.tar')),
    );
    const json = (document, mediaType) => blob(Buffer.from(JSON.stringify(document)), mediaType);
    const image = json({
        architecture: 'riscv64', os: 'linux', config,
        rootfs: { type: 'layers', diff_ids: descriptors.map(({ digest }) => digest) },
    }, type('config.v1+json'));
    const manifest = json({ schemaVersion: 2, config: image, layers: descriptors }, type('manifest.v1+json'));
    writeFileSync(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
    writeFileSync(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
}
