// The host's files in a page: the storage of the page's origin (OPFS), as calls of `wasm.c` by the names
// and numbers of Linux. A path is `opfs:a/b`, or `/proc/self/fd/N/b` below an open folder.
//
// Files in OPFS are opened by promises, and then read and written at once; so they belong to a helper
// that has an event loop, and takes calls out of a letter in the emulator's memory (as SQLite's
// storage in OPFS does). The first thread starts it. What must hold:
// - The helper is the only one that changes this storage while it runs: it knows the tree by heart.
//   A file that another page has open cannot be opened (EAGAIN).
// - A file has one access handle, however often it is open; it is closed while the file moves.
// - A file that loses its name while it is open goes to a folder that the next start empties.
// Modes, owners and times are known until the page goes; the mapped models of shares keep theirs in files.
'use strict';

function tinamouOpfsHelper() {
    const [EPERM, ENOENT, EIO, EBADF, EAGAIN, EEXIST, ENOTDIR, EISDIR, EINVAL, ENOSPC, ENOTEMPTY,
        EOPNOTSUPP] = [1, 2, 5, 9, 11, 17, 20, 21, 22, 28, 39, 95];
    const ERRORS = {
        NotFoundError: ENOENT, NoModificationAllowedError: EAGAIN, QuotaExceededError: ENOSPC,
        TypeMismatchError: ENOTDIR, InvalidModificationError: ENOTEMPTY, TypeError: EINVAL,
    };
    // In the order of FLAGS in node.rs; DIRECT, NOATIME, NOFOLLOW and NONBLOCK change nothing here.
    const FLAGS = [1, 2, 4, 8, 16, 32, 64, 128, 0, 0, 256, 0, 0, 512];
    const [WRITE, READ_WRITE, CREATE, EXCLUSIVE, TRUNCATE, APPEND, DSYNC, SYNC] = FLAGS;
    const [DIRECTORY, PATH] = [FLAGS[10], FLAGS[13]];
    const PAGE_HOST = 3;
    const [FOLDER, FILE] = [0o40000, 0o100000];
    const TRASH = '.tinamou-unlinked';
    const IDLE_MAX = 64; // files that stay open after their last close
    // When a page is reloaded, its old helper has its files for some time yet: Chromium ends a thread
    // that waits after 2 seconds. So long after its own start a helper asks again for what is in use.
    const PREDECESSOR_MS = 6000;
    const ESCAPE = '\uf8ff'; // before the digits of names that are no UTF-8, or that OPFS refuses

    class Failure extends Error {
        constructor(number) {
            super(`errno ${number}`);
            this.number = number;
        }
    }
    const fail = (number) => { throw new Failure(number); };

    let memory;
    let root;
    let trash;
    let counter = 1;
    let stash = new Uint8Array(0); // waits for `take`
    let reads_shared = true; // whether access handles take shared memory
    const open_files = [null, null, null];
    const idle = new Set();
    const now = () => BigInt(Date.now()) * 1000000n;
    const start = now();

    // Memory grows, so views are made for each call.
    const bytes = ([address, length]) => new Uint8Array(memory.buffer, address, length);
    const put = (to, data) => {
        bytes(to).set(data.subarray(0, to[1]));
        return data.length;
    };
    const put_words = ([address, length], words) => {
        const view = new BigInt64Array(memory.buffer, address, length >>> 3);
        words.forEach((word, index) => { view[index] = BigInt(word); });
        return 0;
    };

    const encoder = new TextEncoder();
    const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
    const hex = (name) => [...name].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    const to_name = (raw) => {
        try {
            const name = decoder.decode(raw);
            if (!name.startsWith(ESCAPE) && !name.includes('\\')) return name;
        } catch { /* it is no UTF-8 */ }
        return ESCAPE + hex(raw);
    };
    const from_name = (name) => {
        if (!name.startsWith(ESCAPE)) return encoder.encode(name);
        return Uint8Array.from(name.slice(1).match(/../g) ?? [], (digits) => parseInt(digits, 16));
    };

    const new_node = (kind, parent, name, handle) => ({
        kind, parent, name, handle, id: counter++, children: null,
        users: 0, access: null, size: null, unlinked: false,
        mode: kind === FOLDER ? 0o755 : 0o644, uid: 0, gid: 0,
        atime: start, mtime: start, ctime: start,
    });
    const load = async (folder) => {
        if (folder.kind !== FOLDER) fail(ENOTDIR);
        if (folder.children) return folder.children;
        const children = new Map();
        for await (const [name, handle] of folder.handle.entries()) {
            if (folder === root && name === TRASH) continue;
            const kind = handle.kind === 'directory' ? FOLDER : FILE;
            children.set(name, new_node(kind, folder, name, handle));
        }
        folder.children = children;
        return children;
    };

    const file_of = (fd) => open_files[fd] ?? fail(EBADF);
    const split = (raw) => {
        const parts = [];
        let from = 0;
        for (let at = 0; at <= raw.length; at++) {
            if (at < raw.length && raw[at] !== 47) continue;
            if (at > from) parts.push(to_name(raw.subarray(from, at)));
            from = at + 1;
        }
        return parts.filter((part) => part !== '.');
    };
    // Where a path leads: the folder, the name in it, and what has that name, if anything.
    const walk = async (raw) => {
        let parts = split(raw);
        let node = root;
        if (raw[0] === 47) {
            const [proc, self, fd, number] = parts;
            if (proc !== 'proc' || self !== 'self' || fd !== 'fd') fail(EOPNOTSUPP);
            node = file_of(Number(number)).node;
            parts = parts.slice(4);
        } else if (String.fromCharCode(...raw.subarray(0, 5)) === 'opfs:') {
            parts = split(raw.subarray(5));
        } else {
            fail(EOPNOTSUPP);
        }
        let parent = node.parent;
        let name = node.name;
        for (const part of parts) {
            if (!node) fail(ENOENT);
            if (part === '..') fail(EINVAL);
            if (node.unlinked) fail(ENOENT);
            const children = await load(node);
            [parent, name, node] = [node, part, children.get(part) ?? null];
            if (parent === root && part === TRASH) fail(EPERM);
        }
        return { parent, name, node };
    };
    const find = async (raw) => (await walk(raw)).node ?? fail(ENOENT);

    const close_access = (node) => {
        idle.delete(node);
        if (!node.access) return;
        node.size = node.access.getSize();
        node.access.close();
        node.access = null;
    };
    const acquire = async (node) => {
        idle.delete(node);
        while (!node.access) {
            try {
                node.access = await node.handle.createSyncAccessHandle();
            } catch (error) {
                if (ERRORS[error.name] !== EAGAIN || performance.now() > PREDECESSOR_MS) throw error;
                await new Promise((resolve) => { setTimeout(resolve, 100); });
            }
        }
        return node.access;
    };
    const release = async (node) => {
        if (--node.users > 0) return;
        if (node.unlinked && node.kind === FILE) {
            close_access(node);
            await trash.removeEntry(node.name);
        } else if (node.access) {
            idle.add(node);
            if (idle.size > IDLE_MAX) close_access(idle.values().next().value);
        }
    };
    const changed = (node) => { node.mtime = node.ctime = now(); };

    // Puts a file elsewhere. It is the file that counts; the tree is the caller's.
    const copy_file = async (node, folder, name) => {
        const handle = await folder.getFileHandle(name, { create: true });
        const to = await handle.createSyncAccessHandle();
        const from = await node.handle.createSyncAccessHandle();
        const buffer = new Uint8Array(1 << 20);
        try {
            to.truncate(0);
            for (let at = 0, count; (count = from.read(buffer, { at })) > 0; at += count) {
                to.write(buffer.subarray(0, count), { at });
            }
            to.flush();
        } finally {
            from.close();
            to.close();
        }
        await node.parent.handle.removeEntry(node.name);
        node.handle = handle;
    };
    const move_file = async (node, folder, name) => {
        const was_open = node.access !== null && node.users > 0;
        close_access(node);
        try {
            if (node.handle.move) await node.handle.move(folder, name);
            else await copy_file(node, folder, name);
        } finally {
            if (was_open) await acquire(node);
        }
    };
    // OPFS does not move folders: what is in them moves.
    const move_folder = async (node, parent, name) => {
        const handle = await parent.getDirectoryHandle(name, { create: true });
        for (const child of (await load(node)).values()) {
            if (child.kind === FILE) await move_file(child, handle, child.name);
            else await move_folder(child, handle, child.name);
        }
        if (node.parent?.handle) await node.parent.handle.removeEntry(node.name);
        node.handle = handle;
    };

    // Takes a name out of the tree, and what has it out of the storage unless it is open.
    const remove = async (node) => {
        const { parent, name } = node;
        if (node.kind === FILE && node.users > 0) {
            const hidden = `${Date.now()}-${node.id}`;
            await move_file(node, trash, hidden);
            node.name = hidden;
        } else {
            close_access(node);
            await parent.handle.removeEntry(name);
        }
        node.unlinked = true;
        parent.children.delete(name);
        changed(parent);
    };

    const make = async (parent, name, kind) => {
        if (!parent || parent.unlinked) fail(ENOENT);
        const children = await load(parent);
        const how = { create: true };
        const handle = kind === FOLDER
            ? await parent.handle.getDirectoryHandle(name, how)
            : await parent.handle.getFileHandle(name, how);
        const node = new_node(kind, parent, name, handle);
        if (kind === FOLDER) node.children = new Map();
        else node.size = 0;
        node.atime = node.mtime = node.ctime = now();
        children.set(name, node);
        changed(parent);
        return node;
    };

    const open = async (raw, flags, mode) => {
        const found = await walk(raw);
        let node = found.node;
        if (node && (flags & CREATE) && (flags & EXCLUSIVE)) fail(EEXIST);
        if (!node) {
            if (!(flags & CREATE)) fail(ENOENT);
            node = await make(found.parent, found.name, FILE);
            node.mode = mode & 0o7777;
        }
        if (node.kind === FOLDER && flags & (WRITE | READ_WRITE)) fail(EISDIR);
        if (node.kind === FILE && flags & DIRECTORY) fail(ENOTDIR);
        if (node.kind === FILE && !(flags & PATH)) {
            const access = await acquire(node);
            if (flags & TRUNCATE) {
                access.truncate(0);
                changed(node);
            }
        }
        node.users++;
        let fd = open_files.indexOf(null, 3);
        if (fd < 0) fd = open_files.length;
        open_files[fd] = { node, flags };
        return fd;
    };
    const close = async (fd) => {
        const { node } = file_of(fd);
        open_files[fd] = null;
        await release(node);
        return 0;
    };
    const access_of = (fd) => file_of(fd).node.access ?? fail(EISDIR);

    const read = (to, fd, at) => {
        const access = access_of(fd);
        if (reads_shared) {
            try {
                return access.read(bytes(to), { at });
            } catch (error) {
                if (!(error instanceof TypeError)) throw error;
                reads_shared = false;
            }
        }
        const copy = new Uint8Array(to[1]);
        const count = access.read(copy, { at });
        return put(to, copy.subarray(0, count));
    };
    const write = (from, fd, offset) => {
        const { node, flags } = file_of(fd);
        const access = access_of(fd);
        const at = flags & APPEND ? access.getSize() : offset;
        const count = access.write(reads_shared ? bytes(from) : bytes(from).slice(), { at });
        changed(node);
        if (flags & (DSYNC | SYNC)) access.flush();
        if (count === 0) fail(ENOSPC);
        return count;
    };
    const sync = (fd) => {
        file_of(fd).node.access?.flush();
        return 0;
    };
    const truncate = (fd, length) => {
        access_of(fd).truncate(length);
        changed(file_of(fd).node);
        return 0;
    };

    const measure = async (node) => {
        if (node.kind === FOLDER) return 4096;
        if (node.access) return node.access.getSize();
        if (node.size === null) {
            const file = await node.handle.getFile();
            node.size = file.size;
            node.mtime = node.ctime = BigInt(Math.floor(file.lastModified)) * 1000000n;
        }
        return node.size;
    };
    const stat = async (to, node) => {
        const size = await measure(node);
        const folders = node.kind === FOLDER
            ? [...(await load(node)).values()].filter((child) => child.kind === FOLDER).length : 0;
        const links = node.unlinked ? 0 : node.kind === FOLDER ? 2 + folders : 1;
        return put_words(to, [1, node.id, node.kind | node.mode, links, node.uid, node.gid, 0,
            size, 4096, Math.ceil(size / 512), node.atime, node.mtime, node.ctime, 0]);
    };
    const set_mode = (node, mode) => {
        node.mode = mode & 0o7777;
        node.ctime = now();
        return 0;
    };
    const set_owner = (node, uid, gid) => {
        if (uid >= 0) node.uid = uid;
        if (gid >= 0) node.gid = gid;
        node.ctime = now();
        return 0;
    };
    // NaN leaves a time, Infinity is now. The fraction is apart, for what a double has to be exact.
    const time = (seconds, found) => {
        if (Number.isNaN(seconds)) return found;
        if (!Number.isFinite(seconds)) return now();
        const whole = Math.floor(seconds);
        return BigInt(whole) * 1000000000n + BigInt(Math.round((seconds - whole) * 1e9));
    };
    const set_times = async (node, atime, mtime) => {
        await measure(node);
        node.atime = time(atime, node.atime);
        node.mtime = time(mtime, node.mtime);
        node.ctime = now();
        return 0;
    };

    const mkdir = async (raw, mode) => {
        const { parent, name, node } = await walk(raw);
        if (node) fail(EEXIST);
        (await make(parent, name, FOLDER)).mode = mode & 0o7777;
        return 0;
    };
    const rmdir = async (raw) => {
        const node = await find(raw);
        if (node.kind !== FOLDER) fail(ENOTDIR);
        if (node === root) fail(EINVAL);
        if ((await load(node)).size) fail(ENOTEMPTY);
        await remove(node);
        return 0;
    };
    const unlink = async (raw) => {
        const node = await find(raw);
        if (node.kind === FOLDER) fail(EISDIR);
        await remove(node);
        return 0;
    };
    const rename = async (from, to) => {
        const node = await find(from);
        const target = await walk(to);
        if (node === root || !target.parent || target.parent.unlinked) fail(EINVAL);
        if (target.node === node) return 0;
        for (let above = target.parent; above; above = above.parent) {
            if (above === node) fail(EINVAL);
        }
        if (target.node) {
            if (target.node.kind === FOLDER && node.kind !== FOLDER) fail(EISDIR);
            if (target.node.kind !== FOLDER && node.kind === FOLDER) fail(ENOTDIR);
            if (node.kind === FOLDER && (await load(target.node)).size) fail(ENOTEMPTY);
            // One call replaces a file where the storage moves files; others have no name for a while.
            if (node.kind === FOLDER || target.node.users || !node.handle.move) {
                await remove(target.node);
            } else {
                close_access(target.node);
            }
        }
        await load(target.parent);
        if (node.kind === FILE) await move_file(node, target.parent.handle, target.name);
        else await move_folder(node, target.parent.handle, target.name);
        if (target.node) target.node.unlinked = true;
        node.parent.children.delete(node.name);
        changed(node.parent);
        [node.parent, node.name] = [target.parent, target.name];
        node.parent.children.set(node.name, node);
        changed(node.parent);
        return 0;
    };

    const statfs = async (to) => {
        const { quota = 0, usage = 0 } = await navigator.storage.estimate();
        const [all, free] = [quota, Math.max(0, quota - usage)].map((size) => Math.floor(size / 4096));
        return put_words(to, [0x01021997, 4096, all, free, free, 0, 0]);
    };
    const list = async (raw) => {
        const children = await load(await find(raw));
        const packed = [];
        for (const child of children.values()) {
            const name = from_name(child.name);
            packed.push(child.kind === FOLDER ? 4 : 8, name.length & 255, name.length >> 8, ...name);
        }
        stash = Uint8Array.from(packed);
        return stash.length;
    };
    const take = (to) => {
        put(to, stash);
        stash = new Uint8Array(0);
        return 0;
    };

    // In the order of Op in node.rs.
    const copy = (part) => bytes(part).slice();
    const calls = [
        (a, b) => put_words(b, [PAGE_HOST, ...FLAGS]),
        () => fail(EIO),
        (a, b, x, y) => open(copy(a), x, y),
        (a, b, x) => close(x),
        (a, b, x, y) => read(b, x, y),
        (a, b, x, y) => write(a, x, y),
        (a, b, x) => sync(x),
        (a, b, x) => sync(x),
        (a, b, x, y) => truncate(x, y),
        (a, b, x) => stat(b, file_of(x).node),
        (a, b, x, y) => set_mode(file_of(x).node, y),
        (a, b, x, y, z) => set_owner(file_of(x).node, y, z),
        (a, b, x, y, z) => set_times(file_of(x).node, y, z),
        async (a, b) => stat(b, await find(copy(a))),
        async (a, b, x) => set_mode(await find(copy(a)), x),
        async (a, b, x, y) => set_owner(await find(copy(a)), x, y),
        async (a, b, x, y) => set_times(await find(copy(a)), x, y),
        (a, b, x) => mkdir(copy(a), x),
        (a) => rmdir(copy(a)),
        (a) => unlink(copy(a)),
        () => fail(EOPNOTSUPP), // symlink
        () => fail(EINVAL), // readlink
        () => fail(EPERM), // link
        (a, b) => rename(copy(a), copy(b)),
        (a, b) => statfs(b),
        (a) => list(copy(a)),
        (a, b) => take(b),
        () => fail(EOPNOTSUPP), // run
    ];

    const begin = async () => {
        const handle = await navigator.storage.getDirectory();
        root = new_node(FOLDER, null, '', handle);
        trash = await handle.getDirectoryHandle(TRASH, { create: true });
        // What another page has open stays.
        for await (const name of trash.keys()) await trash.removeEntry(name).catch(() => {});
    };
    const answer = async (op, a, b, numbers) => {
        try {
            if (op !== 0 && !root) await begin();
            return await calls[op](a, b, ...numbers);
        } catch (error) {
            const number = error.number ?? ERRORS[error.name];
            if (number === undefined) console.error(`tinamou: OPFS: ${error.stack ?? error}`);
            return -(number ?? EIO);
        }
    };
    // The letter of wasm.c: state, op, a, its length, b, its length, result; behind 8 words 3 doubles.
    globalThis.onmessage = async ({ data }) => {
        memory = data.memory;
        const words = new Int32Array(memory.buffer, data.letter, 8);
        const numbers = new Float64Array(memory.buffer, data.letter + 32, 3);
        for (;;) {
            const state = Atomics.load(words, 0);
            if (state !== 1) {
                Atomics.wait(words, 0, state);
                continue;
            }
            const [, op, a, a_length, b, b_length] = words;
            const [from, to] = [[a >>> 0, a_length >>> 0], [b >>> 0, b_length >>> 0]];
            words[6] = await answer(op, from, to, [...numbers]);
            Atomics.store(words, 0, 2);
            Atomics.notify(words, 0);
        }
    };
}

// On the first thread, once.
globalThis.tinamouStartOpfs = (memory, letter) => {
    letter >>>= 0;
    const failed = (error) => {
        console.error(`tinamou: OPFS: ${error.message ?? error}`);
        const words = new Int32Array(memory.buffer, letter, 8);
        words[6] = -5;
        Atomics.store(words, 0, 2);
        Atomics.notify(words, 0);
    };
    try {
        const source = new Blob([`(${tinamouOpfsHelper})();`], { type: 'text/javascript' });
        const helper = new Worker(URL.createObjectURL(source), { name: 'opfs' });
        helper.onerror = failed;
        helper.postMessage({ memory, letter });
    } catch (error) {
        failed(error);
    }
};
