// Files of a share in the emulator's memory. fsdev/src/js.rs is the other end.

const READ = 1;
const WRITE = 2;
const LIST = 3;
const REMOVE = 4;
const MAKE_FOLDER = 5;
const STAT = 6;
const RENAME = 7;

/** Bytes of one request; larger files take several. */
const PIECE = 4 << 20;

const ERRORS: Record<number, string> = {
    2: 'there is no such file',
    13: 'that is not permitted',
    17: 'it is there already',
    20: 'that is no folder',
    21: 'that is a folder',
    22: 'that is no good name',
    27: 'that is too large',
    28: 'the share is full',
    36: 'the name is too long',
    39: 'the folder is not empty',
    40: 'that is a symbolic link',
};

export interface FileInfo {
    name: string;
    kind: 'file' | 'folder' | 'link' | 'other';
    size: number;
    /** Permissions. */
    mode: number;
    modified: Date;
}

/** Asks the emulator; null if it has no such share. */
export type Ask = (name: string, request: Uint8Array) => Promise<Uint8Array | null>;

export class Share {
    readonly #ask: Ask;
    readonly name: string;

    constructor(name: string, ask: Ask) {
        this.name = name;
        this.#ask = ask;
    }

    /** A file's bytes. */
    async readFile(path: string): Promise<Uint8Array> {
        const pieces: Uint8Array[] = [];
        let size = 0;
        for (;;) {
            const piece = await this.#call(READ, path, { number: size, length: PIECE });
            pieces.push(piece);
            size += piece.length;
            if (piece.length < PIECE) break;
        }
        const all = new Uint8Array(size);
        let at = 0;
        for (const piece of pieces) {
            all.set(piece, at);
            at += piece.length;
        }
        return all;
    }

    /** A file as UTF-8 text. */
    async readText(path: string): Promise<string> {
        return new TextDecoder().decode(await this.readFile(path));
    }

    /** Makes a file, or replaces what was in it. */
    async writeFile(path: string, data: Uint8Array | string): Promise<void> {
        const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
        let at = 0;
        do {
            const piece = bytes.subarray(at, at + PIECE);
            await this.#call(WRITE, path, { number: at, data: piece });
            at += PIECE;
        } while (at < bytes.length);
    }

    async list(path = '/'): Promise<FileInfo[]> {
        const bytes = await this.#call(LIST, path);
        const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
        const found: FileInfo[] = [];
        for (let at = 0; at < bytes.length; ) {
            const length = view.getUint32(at, true);
            const name = new TextDecoder().decode(bytes.subarray(at + 24, at + 24 + length));
            found.push(info(name, view, at + 4));
            at += 24 + length;
        }
        return found.sort((a, b) => (a.name < b.name ? -1 : 1));
    }

    async stat(path: string): Promise<FileInfo> {
        const bytes = await this.#call(STAT, path);
        const name = path.split('/').filter(Boolean).pop() ?? '/';
        return info(name, new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), 0);
    }

    /** Removes a file or an empty folder. */
    async remove(path: string): Promise<void> {
        await this.#call(REMOVE, path);
    }

    async makeFolder(path: string): Promise<void> {
        await this.#call(MAKE_FOLDER, path);
    }

    async rename(path: string, newPath: string): Promise<void> {
        await this.#call(RENAME, path, { data: new TextEncoder().encode(newPath) });
    }

    async #call(
        operation: number,
        path: string,
        { number = 0, length = 0, data = new Uint8Array() as Uint8Array } = {},
    ): Promise<Uint8Array> {
        const name = new TextEncoder().encode(path);
        const request = new Uint8Array(17 + name.length + data.length);
        const view = new DataView(request.buffer);
        view.setUint8(0, operation);
        view.setBigUint64(1, BigInt(number), true);
        view.setUint32(9, length, true);
        view.setUint32(13, name.length, true);
        request.set(name, 17);
        request.set(data, 17 + name.length);
        const answer = await this.#ask(`share:${this.name}`, request);
        if (!answer) throw new Error(`the machine has no share '${this.name}' in its memory`);
        const head = new DataView(answer.buffer, answer.byteOffset, answer.byteLength);
        const error = head.getInt32(0, true);
        if (error !== 0) {
            const why = ERRORS[error] ?? `error ${error}`;
            throw new Error(`'${path}' of the share '${this.name}': ${why}`);
        }
        return answer.subarray(4);
    }
}

function info(name: string, view: DataView, at: number): FileInfo {
    const mode = view.getUint32(at, true);
    const kinds: Record<number, FileInfo['kind']> = {
        0o100000: 'file',
        0o040000: 'folder',
        0o120000: 'link',
    };
    return {
        name,
        kind: kinds[mode & 0o170000] ?? 'other',
        size: Number(view.getBigUint64(at + 4, true)),
        mode: mode & 0o7777,
        modified: new Date(Number(view.getBigUint64(at + 12, true) / 1000000n)),
    };
}
