/*
 * The host's files under Node: calls of its `fs` on the calling thread. Each thread of emscripten is a
 * worker of Node, and descriptors belong to the process, so any thread may use any of them; but the
 * workers must be made with `trackUnmanagedFds: false`, as os-wasm.js has it.
 *
 * There is one entry, which wasm.rs calls with the number of an operation.
 */
#include <emscripten.h>
#include <emscripten/threading.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

/*
 * The operations, in the order of `Op` in wasm.rs. `a` and `b` are [address, length] of bytes in our
 * memory; x, y and z are numbers. The results are numbers that are not negative; failures are thrown.
 */
EM_JS(int, tinamou_fs_start, (), {
    const fs = require('fs');
    const is_linux = process.platform === 'linux';
    /* Since libuv 1.51 there are times that mean "leave it" and "now". */
    const uv = process.versions.uv.split('.').map(Number);
    const knows_special_times = uv[0] > 1 || uv[1] >= 51;

    /* fs.readSync and fs.writeSync work on our memory itself, also where it is shared. */
    const bytes = ([address, length]) => HEAPU8.subarray(address >>> 0, (address >>> 0) + length);
    const copy = ([address, length]) => HEAPU8.slice(address >>> 0, (address >>> 0) + length);
    const put = (to, data) => {
        bytes(to).set(data.subarray(0, to[1]));
        return data.length;
    };
    const put_words = (to, words) => {
        const view = new BigInt64Array(HEAPU8.buffer, to[0] >>> 0, to[1] >>> 3);
        words.forEach((word, index) => { view[index] = BigInt(word ?? 0); });
        return 0;
    };
    const put_stat = (to, s) => {
        if (!s) return -2; /* cheaper than an exception */
        const numbers = [s.dev, s.ino, s.mode, s.nlink, s.uid, s.gid, s.rdev, s.size];
        return put_words(to, [...numbers, s.blksize, s.blocks,
                              s.atimeNs, s.mtimeNs, s.ctimeNs, s.birthtimeNs]);
    };
    /* Infinity is now, NaN leaves it. A negative number would be now too, but not as a string. */
    const time = (seconds, found) => {
        if (Number.isFinite(seconds)) return String(seconds);
        if (knows_special_times) return isNaN(seconds) ? new Date(NaN) : 'Infinity';
        return isNaN(seconds) ? String(found / 1000) : String(Date.now() / 1000);
    };
    const times = (x, y, stat) => {
        const found = knows_special_times ? {} : stat();
        return [time(x, found.atimeMs), time(y, found.mtimeMs)];
    };
    const kind = (entry) => entry.isFile() ? 8 : entry.isDirectory() ? 4 : entry.isSymbolicLink() ? 10
        : entry.isFIFO() ? 1 : entry.isSocket() ? 12 : entry.isCharacterDevice() ? 2
        : entry.isBlockDevice() ? 6 : 0;
    /* Kind, length of the name in two bytes, the name; for each entry. */
    const pack = (entry) => {
        const length = entry.name.length;
        return [Buffer.from([kind(entry), length & 255, length >> 8]), entry.name];
    };
    const nothing = () => 0;
    const big = { bigint: true };
    const lstat = { bigint: true, throwIfNoEntry: false };
    let stash = new Uint8Array(0); /* waits for `take` */

    const constants = (a, b) => put_words(b, [
        is_linux ? 1 : process.platform === 'win32' ? 2 : 0,
        fs.constants.O_WRONLY, fs.constants.O_RDWR, fs.constants.O_CREAT,
        fs.constants.O_EXCL, fs.constants.O_TRUNC, fs.constants.O_APPEND, fs.constants.O_DSYNC,
        fs.constants.O_SYNC, fs.constants.O_DIRECT, fs.constants.O_NOATIME,
        fs.constants.O_DIRECTORY, fs.constants.O_NOFOLLOW, fs.constants.O_NONBLOCK,
        is_linux ? 0o10000000 : 0,
    ]);
    const statfs = (a, b) => {
        const s = fs.statfsSync(copy(a), big);
        return put_words(b, [s.type, s.bsize, s.blocks, s.bfree, s.bavail, s.files, s.ffree]);
    };
    const list = (a) => {
        const entries = fs.readdirSync(copy(a), { encoding: 'buffer', withFileTypes: true });
        stash = Buffer.concat(entries.flatMap(pack));
        return stash.length;
    };
    const take = (a, b) => {
        put(b, stash);
        stash = stash.subarray(0, 0);
        return 0;
    };
    /* The strings of `a` are a program and its arguments; descriptor x is its 3. Its exit status. */
    const run = (a, b, x) => {
        const [program, ...strings] = Buffer.from(copy(a)).toString().split(String.fromCharCode(0));
        const stdio = ['ignore', 'ignore', 'ignore', x];
        const ran = require('child_process').spawnSync(program, strings, { stdio, timeout: 10000 });
        return ran.status ?? 255;
    };
    const calls = [
        constants,
        (a, b) => put(b, stash),
        (a, b, x, y) => fs.openSync(copy(a), x, y),
        (a, b, x) => nothing(fs.closeSync(x)),
        (a, b, x, y) => fs.readSync(x, bytes(b), 0, b[1], y),
        (a, b, x, y) => fs.writeSync(x, bytes(a), 0, a[1], y),
        (a, b, x) => nothing(fs.fsyncSync(x)),
        (a, b, x) => nothing(fs.fdatasyncSync(x)),
        (a, b, x, y) => nothing(fs.ftruncateSync(x, y)),
        (a, b, x) => put_stat(b, fs.fstatSync(x, big)),
        (a, b, x, y) => nothing(fs.fchmodSync(x, y)),
        (a, b, x, y, z) => nothing(fs.fchownSync(x, y, z)),
        (a, b, x, y, z) => nothing(fs.futimesSync(x, ...times(y, z, () => fs.fstatSync(x)))),
        (a, b) => put_stat(b, fs.lstatSync(copy(a), lstat)),
        (a, b, x) => nothing(fs.chmodSync(copy(a), x)),
        (a, b, x, y) => nothing(fs.lchownSync(copy(a), x, y)),
        (a, b, x, y) => nothing(fs.lutimesSync(copy(a), ...times(x, y, () => fs.lstatSync(copy(a))))),
        (a, b, x) => nothing(fs.mkdirSync(copy(a), x)),
        (a) => nothing(fs.rmdirSync(copy(a))),
        (a) => nothing(fs.unlinkSync(copy(a))),
        (a, b) => nothing(fs.symlinkSync(copy(a), copy(b))),
        (a, b) => put(b, fs.readlinkSync(copy(a), { encoding: 'buffer' })),
        (a, b) => nothing(fs.linkSync(copy(a), copy(b))),
        (a, b) => nothing(fs.renameSync(copy(a), copy(b))),
        statfs,
        list,
        take,
        run,
    ];
    /* Linux's own number; else -65536, and the name of the error is ready to be taken. */
    const failed = (error) => {
        if (is_linux && error.errno < 0) return error.errno;
        stash = Buffer.from(String(error.code));
        return -65536;
    };
    globalThis.tinamouFs = { calls, failed };
    return 0;
})

EM_JS(int, tinamou_fs_javascript, (int op, const unsigned char* a, int a_length,
        const unsigned char* b, int b_length, double x, double y, double z), {
    if (!globalThis.tinamouFs) tinamou_fs_start();
    /* Errors are everyday here, and most of what one costs is to look at the stack. */
    const limit = Error.stackTraceLimit;
    Error.stackTraceLimit = 0;
    try {
        return globalThis.tinamouFs.calls[op]([a, a_length], [b, b_length], x, y, z);
    } catch (error) {
        return globalThis.tinamouFs.failed(error);
    } finally {
        Error.stackTraceLimit = limit;
    }
})

EM_JS(int, tinamou_fs_is_node, (), { return ENVIRONMENT_IS_NODE ? 1 : 0; })

/*
 * In a page: the helper of opfs.js takes calls out of this one letter, and puts the results into it.
 * The strings are where the caller has them, since the helper has our memory too.
 */
static struct {
    _Atomic int32_t state; /* 0: empty, 1: a call, 2: its result */
    int32_t op;
    uint32_t a, a_length, b, b_length;
    int32_t result;
    int32_t padding;
    double numbers[3];
} letter;
static pthread_mutex_t letter_lock = PTHREAD_MUTEX_INITIALIZER;
enum { EMPTY, CALL, RESULT };

/* How long the page may take to start the helper, and the helper for a call. */
static const double PATIENCE_MS = 60000;

static int32_t page_call(int32_t op, const uint8_t *a, uint32_t a_length, uint8_t *b,
                         uint32_t b_length, double x, double y, double z)
{
    static int started; /* 1: the helper is there; -1: it failed */
    pthread_mutex_lock(&letter_lock);
    if (!started) {
        started = 1;
        MAIN_THREAD_ASYNC_EM_ASM({ globalThis.tinamouStartOpfs(wasmMemory, $0); }, &letter);
    }
    int32_t result = -5; /* EIO of Linux, which is not the one of emscripten */
    if (started > 0) {
        letter.op = op;
        letter.a = (uint32_t)a;
        letter.a_length = a_length;
        letter.b = (uint32_t)b;
        letter.b_length = b_length;
        letter.numbers[0] = x;
        letter.numbers[1] = y;
        letter.numbers[2] = z;
        atomic_store(&letter.state, CALL);
        emscripten_futex_wake(&letter.state, 1);
        double until = emscripten_get_now() + PATIENCE_MS;
        while (atomic_load(&letter.state) == CALL && emscripten_get_now() < until)
            emscripten_futex_wait(&letter.state, CALL, 1000);
        /* A helper that is late would write to memory that is somebody else's by then. */
        if (atomic_load(&letter.state) == RESULT)
            result = letter.result;
        else
            started = -1;
        atomic_store(&letter.state, EMPTY);
    }
    pthread_mutex_unlock(&letter_lock);
    return result;
}

/* The result, or the negative of a Linux error number, or -65536 (see above). */
int32_t tinamou_fs_call(int32_t op, const uint8_t *a, uint32_t a_length, uint8_t *b,
                        uint32_t b_length, double x, double y, double z)
{
    static _Atomic int is_node = -1;
    if (is_node < 0)
        is_node = tinamou_fs_is_node();
    if (!is_node)
        return page_call(op, a, a_length, b, b_length, x, y, z);
    return tinamou_fs_javascript(op, a, (int)a_length, b, (int)b_length, x, y, z);
}

/* EM_JS functions are linked only if C code names them. */
EMSCRIPTEN_KEEPALIVE void *tinamou_fs_javascript_only[] = {
    (void *)tinamou_fs_start,
};
