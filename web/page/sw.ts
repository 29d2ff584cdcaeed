// Adds the isolation headers where the site's server cannot (docs/hosting.md). It keeps nothing.
interface Worker {
    addEventListener(name: string, listener: (event: never) => void): void;
    skipWaiting(): Promise<void>;
    clients: { claim(): Promise<void> };
}
interface Fetch {
    request: Request;
    respondWith(response: Promise<Response>): void;
}
interface Extendable {
    waitUntil(work: Promise<unknown>): void;
}
const scope = globalThis as unknown as Worker;

scope.addEventListener('install', (event: Extendable) => event.waitUntil(scope.skipWaiting()));
scope.addEventListener('activate', (event: Extendable) => event.waitUntil(scope.clients.claim()));

async function isolated(request: Request): Promise<Response> {
    const response = await fetch(request);
    if (response.status === 0) return response; // of another site: it has to have its own headers
    const headers = new Headers(response.headers);
    headers.set('Cross-Origin-Opener-Policy', 'same-origin');
    headers.set('Cross-Origin-Embedder-Policy', 'require-corp');
    headers.set('Cross-Origin-Resource-Policy', 'same-origin');
    const { status, statusText } = response;
    const body = [204, 205, 304].includes(status) ? null : response.body;
    return new Response(body, { status, statusText, headers });
}

scope.addEventListener('fetch', (event: Fetch) => {
    const { request } = event;
    // A quirk of browsers: such requests cannot be made again.
    if (request.cache === 'only-if-cached' && request.mode !== 'same-origin') return;
    event.respondWith(isolated(request));
});
