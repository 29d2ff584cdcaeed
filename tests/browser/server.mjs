// Serves the page, the bundle and the guest's files on loopback, isolated, as threads need it.
import { createServer } from 'node:http';
import { readFile, stat } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';

const TYPES = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript', '.wasm': 'application/wasm' };

const ISOLATION = {
    'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp',
};

// The part of `bytes` that a request asks for, the answer being told so.
function part(request, response, bytes) {
    const range = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '');
    if (!range) return bytes;
    const [first, last] = [Number(range[1]), Math.min(Number(range[2]), bytes.length - 1)];
    response.statusCode = first > last ? 416 : 206;
    response.setHeader('Content-Range', `bytes ${first}-${last}/${bytes.length}`);
    return bytes.subarray(first, last + 1);
}

// `folders` maps the first part of a path to a folder; '' is for all others. `seen` gets requests.
export async function serve(folders, headers = ISOLATION, seen = () => {}) {
    const server = createServer(async (request, response) => {
        for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
        const url = new URL(request.url, 'http://page');
        const path = normalize(decodeURIComponent(url.pathname)).slice(1) || 'index.html';
        const first = path.split('/')[0];
        const file = first in folders
            ? join(folders[first], path.slice(first.length + 1))
            : join(folders[''], path);
        try {
            const bytes = await readFile(file);
            response.setHeader('Content-Type', TYPES[extname(file)] ?? 'application/octet-stream');
            const { mtimeMs } = await stat(file);
            response.setHeader('ETag', `"${bytes.length}-${mtimeMs}"`);
            const body = part(request, response, bytes);
            seen(request, response);
            response.setHeader('Content-Length', body.length);
            response.end(request.method === 'HEAD' ? undefined : body);
        } catch {
            response.statusCode = 404;
            response.end();
        }
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
