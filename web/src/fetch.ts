// Fetching with progress.
import type { Progress } from './options.js';

/** All bytes of a URL; errors name it. */
export async function fetchBytes(
    url: string | URL,
    stage: Progress['stage'],
    name: string,
    onProgress: (progress: Progress) => void,
): Promise<Uint8Array<ArrayBuffer>> {
    const failed = (why: string) => new Error(`'${url}' could not be fetched: ${why}`);
    const response = await fetch(url).catch((error: Error) => {
        throw failed(error.message);
    });
    if (!response.ok || !response.body) throw failed(`the server says ${response.status}`);
    // The length of what is sent; with a compression that is less than what comes here.
    const isPlain = !response.headers.get('content-encoding');
    const total = isPlain ? Number(response.headers.get('content-length') ?? 0) : 0;
    const pieces: Uint8Array[] = [];
    let loaded = 0;
    for (const reader = response.body.getReader(); ; ) {
        const { done, value } = await reader.read().catch((error: Error) => {
            throw failed(error.message);
        });
        if (done) break;
        pieces.push(value);
        loaded += value.length;
        onProgress({ stage, name, loaded, total });
    }
    if (total > 0 && loaded !== total) throw failed(`${loaded} of ${total} bytes came`);
    const all = new Uint8Array(loaded);
    let at = 0;
    for (const piece of pieces) {
        all.set(piece, at);
        at += piece.length;
    }
    return all;
}
