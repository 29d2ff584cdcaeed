// Serves the page, the bundle and the guest's files on loopback, isolated, as threads need it.
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join, normalize } from 'node:path';

const TYPES = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript', '.wasm': 'application/wasm' };

const ISOLATION = {
    'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp',
};

// `folders` maps the first part of a path to a folder; '' is for all others.
export async function serve(folders, headers = ISOLATION) {
    const server = createServer(async (request, response) => {
        for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
        const path = normalize(new URL(request.url, 'http://page').pathname).slice(1) || 'index.html';
        const first = path.split('/')[0];
        const file = first in folders
            ? join(folders[first], path.slice(first.length + 1))
            : join(folders[''], path);
        try {
            const bytes = await readFile(file);
            response.setHeader('Content-Type', TYPES[extname(file)] ?? 'application/octet-stream');
            response.end(bytes);
        } catch {
            response.statusCode = 404;
            response.end();
        }
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}
