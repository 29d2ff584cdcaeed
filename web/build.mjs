// Builds the package into dist/: node build.mjs [BUNDLE FOR NODE] [BUNDLE FOR PAGES], by default those of
// scripts/build-wasm. Without a bundle its part of the package is left out, which is said.
import { build } from 'esbuild';
import { execFileSync } from 'node:child_process';
import {
    copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

const web = dirname(fileURLToPath(import.meta.url));
const made = process.env.TINAMOU_BUILD ?? join(web, '../build');
const [node = join(made, 'wasm'), page = join(made, 'wasm-page')] = process.argv.slice(2);
const dist = join(web, 'dist');
const common = {
    absWorkingDir: web, outdir: dist, bundle: true, target: 'es2022', legalComments: 'linked',
    logLevel: 'warning', minify: true,
};

rmSync(dist, { recursive: true, force: true });
await build({ ...common, entryPoints: ['src/browser.ts'], format: 'esm', keepNames: true });
await build({ ...common, entryPoints: ['src/worker.ts'], format: 'iife' });
await build({
    ...common, entryPoints: ['src/node.ts'], format: 'esm', platform: 'node', keepNames: true,
});
await build({
    ...common, entryPoints: ['src/worker-node.ts'], format: 'cjs', platform: 'node',
    outExtension: { '.js': '.cjs' },
});
// The page stands beside the package's files, so that a folder with all of them is a site.
await build({ ...common, entryPoints: ['page/page.ts', 'page/sw.ts'], format: 'esm' });
copyFileSync(join(web, 'page/index.html'), join(dist, 'index.html'));

const tsc = join(web, 'node_modules/typescript/bin/tsc');
const project = join(web, 'tsconfig.types.json');
execFileSync(process.execPath, [tsc, '-p', project], { stdio: 'inherit' });

const files = ['tinamou-system-riscv64.js', 'tinamou_system_riscv64.wasm'];
for (const [name, folder] of [['node', node], ['web', page]]) {
    const to = join(dist, 'emulator', name);
    if (!files.every((file) => existsSync(join(folder, file)))) {
        console.warn(`tinamou: there is no emulator in ${folder}: the package is without ${name}`);
        continue;
    }
    mkdirSync(to, { recursive: true });
    for (const file of files) copyFileSync(join(folder, file), join(to, file));
    // The bundles are no ES modules, as the package's other scripts are.
    writeFileSync(join(to, 'package.json'), '{ "type": "commonjs" }\n');
}

// What a page loads is packed beside it, for servers that can send that (`launcher serve` can).
async function pack(file) {
    const bytes = readFileSync(file);
    const params = {
        [constants.BROTLI_PARAM_QUALITY]: Number(process.env.TINAMOU_BROTLI ?? 11),
        [constants.BROTLI_PARAM_LGWIN]: 22,
        [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
    };
    const [small, other] = await Promise.all([
        promisify(brotliCompress)(bytes, { params }), promisify(gzip)(bytes, { level: 9 }),
    ]);
    writeFileSync(`${file}.br`, small);
    writeFileSync(`${file}.gz`, other);
}

const packed = ['page.js', 'page.css', 'worker.js', 'browser.js', 'index.html'];
const emulator = join(dist, 'emulator/web');
const bundle = existsSync(emulator) ? readdirSync(emulator) : [];
const all = [...packed, ...bundle.filter((name) => !name.endsWith('.json')).map((n) => `emulator/web/${n}`)];
await Promise.all(all.map((name) => pack(join(dist, name))));
