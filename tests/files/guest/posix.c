/*
 * What POSIX and Linux promise about files, for a folder on any file system:
 *
 *   posix FOLDER [-x NAME ...]     NAME: a check that this file system cannot pass (say why where used)
 *
 * Prints a line for each check, and `posix: N passed, N failed`. It makes the folder's files itself and
 * removes them. Run it natively on the host's file systems to test the test.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

static jmp_buf failed;
static char reason[512];

static void fail(int line, const char *format, ...)
{
    va_list args;
    int used = snprintf(reason, sizeof reason, "line %d: ", line);
    va_start(args, format);
    vsnprintf(reason + used, sizeof reason - (size_t)used, format, args);
    va_end(args);
    longjmp(failed, 1);
}

/* A call that must succeed. */
#define DO(call) \
    do { \
        if ((call) < 0) \
            fail(__LINE__, "%s: %s", #call, strerror(errno)); \
    } while (0)
/* A call that must fail with an error number. */
#define FAILS(number, call) \
    do { \
        errno = 0; \
        if ((call) >= 0) \
            fail(__LINE__, "%s succeeded", #call); \
        if (errno != (number)) \
            fail(__LINE__, "%s: %s, not " #number, #call, strerror(errno)); \
    } while (0)
#define IS(wanted, got) \
    do { \
        long long wanted_ = (long long)(wanted), got_ = (long long)(got); \
        if (wanted_ != got_) \
            fail(__LINE__, "%s is %lld (0x%llx), not %lld", #got, got_, got_, wanted_); \
    } while (0)
#define SAME(wanted, got, bytes) \
    do { \
        if (memcmp(wanted, got, bytes)) \
            fail(__LINE__, "%s differs", #got); \
    } while (0)

static int make(const char *name, const char *text)
{
    int fd = open(name, O_RDWR | O_CREAT | O_EXCL, 0644);
    if (fd < 0)
        fail(__LINE__, "open %s: %s", name, strerror(errno));
    if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
        fail(__LINE__, "write %s: %s", name, strerror(errno));
    return fd;
}

static void put(const char *name, const char *text)
{
    DO(close(make(name, text)));
}

static void holds(const char *name, const char *text, int line)
{
    char got[4096] = "";
    int fd = open(name, O_RDONLY);
    ssize_t count = fd < 0 ? -1 : read(fd, got, sizeof got - 1);
    if (count != (ssize_t)strlen(text) || memcmp(got, text, (size_t)count))
        fail(line, "%s holds '%s' (%zd), not '%s'", name, got, count, text);
    close(fd);
}
#define HOLDS(name, text) holds(name, text, __LINE__)

static struct stat at(const char *name)
{
    struct stat st = {0};
    if (lstat(name, &st) < 0)
        fail(__LINE__, "lstat %s: %s", name, strerror(errno));
    return st;
}

static void create_and_read(void)
{
    int fd = make("f", "hello");
    char got[8] = "";
    FAILS(EEXIST, open("f", O_RDWR | O_CREAT | O_EXCL, 0644));
    FAILS(ENOENT, open("none", O_RDWR));
    FAILS(ENOTDIR, open("f/x", O_RDONLY));
    FAILS(ENOTDIR, open("f", O_RDONLY | O_DIRECTORY));
    IS(5, at("f").st_size);
    IS(5, pread(fd, got, sizeof got, 0));
    SAME("hello", got, 5);
    IS(2, pread(fd, got, sizeof got, 3));
    IS(0, pread(fd, got, sizeof got, 5));
    IS(0, pread(fd, got, sizeof got, 500));
    IS(3, pwrite(fd, "LLL", 3, 2));
    HOLDS("f", "heLLL");
    DO(close(fd));
    fd = open("f", O_WRONLY);
    FAILS(EBADF, read(fd, got, 1));
    DO(close(fd));
    fd = open("f", O_RDONLY);
    FAILS(EBADF, write(fd, got, 1));
    DO(close(fd));
}

static void append(void)
{
    int one, two;
    put("f", "0");
    DO(one = open("f", O_WRONLY | O_APPEND));
    DO(two = open("f", O_WRONLY | O_APPEND));
    for (int i = 0; i < 4; i++) {
        IS(1, write(one, "a", 1));
        IS(1, write(two, "b", 1));
    }
    DO(lseek(one, 0, SEEK_SET));
    IS(1, write(one, "c", 1));
    HOLDS("f", "0ababababc");
    DO(close(one));
    DO(close(two));
}

static void truncation(void)
{
    char got[16];
    int fd = make("f", "0123456789");
    DO(ftruncate(fd, 4));
    HOLDS("f", "0123");
    DO(truncate("f", 8));
    IS(8, pread(fd, got, sizeof got, 0));
    SAME("0123\0\0\0\0", got, 8);
    DO(close(open("f", O_WRONLY | O_TRUNC)));
    IS(0, at("f").st_size);
    DO(close(fd));
    DO(mkdir("d", 0755));
    FAILS(EISDIR, truncate("d", 0));
    FAILS(ENOENT, truncate("none", 0));
}

static void sparse(void)
{
    const off_t far = (5LL << 30) + 123;
    char got[64];
    int fd = make("f", "");
    IS(4, pwrite(fd, "data", 4, far));
    IS(far + 4, at("f").st_size);
    IS(64, pread(fd, got, 64, far - 64));
    for (int i = 0; i < 64; i++)
        IS(0, got[i]);
    IS(4, pread(fd, got, 64, far));
    SAME("data", got, 4);
    IS(far + 4, lseek(fd, 0, SEEK_END));
    DO(ftruncate(fd, far + 1));
    IS(1, pread(fd, got, 64, far));
    IS('d', got[0]);
    DO(close(fd));
}

static void unlinked_but_open(void)
{
    char got[8] = "";
    struct stat st;
    int fd = make("f", "kept");
    DO(unlink("f"));
    FAILS(ENOENT, open("f", O_RDONLY));
    IS(4, pread(fd, got, sizeof got, 0));
    SAME("kept", got, 4);
    IS(4, pwrite(fd, "more", 4, 4));
    DO(ftruncate(fd, 6));
    DO(fstat(fd, &st));
    IS(6, st.st_size);
    IS(0, st.st_nlink);
    DO(fchmod(fd, 0600));
    put("f", "new");
    IS(6, pread(fd, got, sizeof got, 0));
    SAME("keptmo", got, 6);
    DO(close(fd));
    HOLDS("f", "new");
}

static void hard_links(void)
{
    put("a", "1");
    DO(link("a", "b"));
    IS(at("a").st_ino, at("b").st_ino);
    IS(2, at("a").st_nlink);
    FAILS(EEXIST, link("a", "b"));
    FAILS(ENOENT, link("none", "c"));
    DO(unlink("a"));
    HOLDS("b", "1");
    IS(1, at("b").st_nlink);
    DO(mkdir("d", 0755));
    FAILS(EPERM, link("d", "e"));
    DO(link("b", "d/b"));
    HOLDS("d/b", "1");
    /* To rename one name of a file to another does nothing. */
    DO(rename("b", "d/b"));
    HOLDS("b", "1");
}

static void symbolic_links(void)
{
    char got[PATH_MAX];
    put("f", "1");
    DO(symlink("f", "l"));
    IS(1, readlink("l", got, sizeof got));
    IS('f', got[0]);
    HOLDS("l", "1");
    IS(S_IFLNK, at("l").st_mode & S_IFMT);
    FAILS(ELOOP, open("l", O_RDONLY | O_NOFOLLOW));
    FAILS(EINVAL, readlink("f", got, sizeof got));
    DO(symlink("nowhere", "dangling"));
    FAILS(ENOENT, open("dangling", O_RDONLY));
    FAILS(EEXIST, symlink("f", "l"));
    DO(symlink("loop", "loop"));
    FAILS(ELOOP, open("loop", O_RDONLY));
    DO(mkdir("d", 0755));
    DO(symlink("../f", "d/up"));
    HOLDS("d/up", "1");
    /* The guest resolves it, in the guest's tree. */
    DO(symlink("/proc/self/status", "out"));
    IS(17, readlink("out", got, sizeof got));
    memset(got, 'x', 4000);
    got[4000] = 0;
    DO(symlink(got, "long"));
    IS(4000, readlink("long", got, sizeof got));
    IS(4000, at("long").st_size);
    DO(unlink("l"));
    HOLDS("f", "1");
}

static void renames(void)
{
    put("a", "a");
    put("b", "b");
    int fd = open("b", O_RDONLY);
    char got[4];
    DO(rename("a", "b"));
    HOLDS("b", "a");
    IS(1, read(fd, got, 4));
    IS('b', got[0]);
    DO(close(fd));
    FAILS(ENOENT, rename("a", "c"));
    DO(mkdir("d", 0755));
    DO(mkdir("e", 0755));
    FAILS(EISDIR, rename("b", "d"));
    FAILS(ENOTDIR, rename("d", "b"));
    DO(rename("d", "e"));
    FAILS(ENOENT, rmdir("d"));
    DO(rename("b", "e/b"));
    HOLDS("e/b", "a");
    DO(mkdir("f", 0755));
    FAILS(ENOTEMPTY, rename("f", "e"));
    DO(rmdir("f"));
    FAILS(EINVAL, rename("e", "e/sub"));
    fd = open("e/b", O_RDONLY);
    DO(rename("e", "g"));
    IS(1, read(fd, got, 4));
    DO(close(fd));
    HOLDS("g/b", "a");
}

/* A folder is renamed while its files are open and while a process is in it. */
static void rename_of_a_parent(void)
{
    char here[PATH_MAX];
    DO(mkdir("a", 0755));
    DO(mkdir("a/b", 0755));
    int fd = make("a/b/f", "1");
    DO(chdir("a/b"));
    DO(rename("../../a", "../../z"));
    put("new", "2");
    HOLDS("f", "1");
    IS(1, write(fd, "x", 1));
    DO(close(fd));
    if (!getcwd(here, sizeof here))
        fail(__LINE__, "getcwd: %s", strerror(errno));
    DO(chdir("../.."));
    HOLDS("z/b/new", "2");
    HOLDS("z/b/f", "1x");
}

static void modes(void)
{
    umask(0);
    DO(close(open("f", O_WRONLY | O_CREAT, 0640)));
    IS(S_IFREG | 0640, at("f").st_mode);
    DO(chmod("f", 0751));
    IS(S_IFREG | 0751, at("f").st_mode);
    DO(mkdir("d", 01777));
    IS(S_IFDIR | 01777, at("d").st_mode);
    umask(027);
    DO(mkdir("e", 0777));
    IS(S_IFDIR | 0750, at("e").st_mode);
    umask(022);
    DO(chmod("f", 04755));
    IS(S_IFREG | 04755, at("f").st_mode);
    /* Files that their owner may not write can be made and written by who makes them. */
    int fd = open("ro", O_RDWR | O_CREAT, 0444);
    DO(fd);
    IS(2, write(fd, "ok", 2));
    DO(close(fd));
    IS(S_IFREG | 0444, at("ro").st_mode);
}

static void owners(void)
{
    put("f", "");
    DO(symlink("f", "l"));
    DO(chown("f", 1234, 4321));
    IS(1234, at("f").st_uid);
    IS(4321, at("f").st_gid);
    DO(chown("f", -1u, 99));
    IS(1234, at("f").st_uid);
    IS(99, at("f").st_gid);
    DO(lchown("l", 7, 8));
    IS(7, at("l").st_uid);
    IS(1234, at("f").st_uid);
    DO(chmod("f", 06755));
    DO(chown("f", 0, 0));
    /* A new owner must not get the old one's powers. */
    IS(0, at("f").st_mode & 06000);
}

static void special_files(void)
{
    DO(mkfifo("fifo", 0600));
    IS(S_IFIFO | 0600, at("fifo").st_mode);
    int reader = open("fifo", O_RDONLY | O_NONBLOCK), writer = open("fifo", O_WRONLY);
    char got[2];
    DO(reader);
    DO(writer);
    IS(1, write(writer, "x", 1));
    IS(1, read(reader, got, 2));
    DO(close(reader));
    DO(close(writer));
    DO(mknod("null", S_IFCHR | 0666, makedev(1, 3)));
    IS(S_IFCHR | 0644, at("null").st_mode);
    IS(makedev(1, 3), at("null").st_rdev);
    DO(mknod("disk", S_IFBLK | 0600, makedev(254, 300)));
    IS(makedev(254, 300), at("disk").st_rdev);
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    DO(bind(fd, (struct sockaddr *)&address, sizeof address));
    IS(S_IFSOCK, at("socket").st_mode & S_IFMT);
    DO(close(fd));
}

static void folders(void)
{
    DO(mkdir("d", 0755));
    FAILS(EEXIST, mkdir("d", 0755));
    FAILS(ENOENT, mkdir("none/d", 0755));
    put("d/f", "");
    FAILS(ENOTEMPTY, rmdir("d"));
    FAILS(EISDIR, unlink("d"));
    FAILS(ENOTDIR, rmdir("d/f"));
    FAILS(EISDIR, open("d", O_WRONLY));
    DO(unlink("d/f"));
    DO(rmdir("d"));
    FAILS(ENOENT, rmdir("d"));
    DO(mkdir("p", 0755));
    nlink_t links = at("p").st_nlink;
    DO(mkdir("p/q", 0755));
    /* 1 on file systems that do not count; a share may have a folder that is not shown. */
    if (links != 1)
        IS(1, at("p").st_nlink > links && at("p").st_nlink <= links + 2);
}

static int count_entries(const char *name, unsigned char *seen, int limit)
{
    DIR *dir = opendir(name);
    struct dirent *entry;
    int count = 0;
    if (!dir)
        fail(__LINE__, "opendir %s: %s", name, strerror(errno));
    while ((entry = readdir(dir))) {
        int number;
        if (sscanf(entry->d_name, "entry-%d", &number) == 1 && number < limit) {
            if (seen[number]++)
                fail(__LINE__, "%s comes twice", entry->d_name);
            count++;
        }
    }
    closedir(dir);
    return count;
}

static void large_folder(void)
{
    enum { COUNT = 1200 };
    static unsigned char seen[COUNT];
    char name[64];
    DO(mkdir("d", 0755));
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "d/entry-%d", i);
        put(name, "");
    }
    memset(seen, 0, sizeof seen);
    IS(COUNT, count_entries("d", seen, COUNT));
    /* Entries that are removed while a folder is read do not make others vanish or come twice. */
    DIR *dir = opendir("d");
    struct dirent *entry;
    memset(seen, 0, sizeof seen);
    while ((entry = readdir(dir))) {
        int number;
        if (sscanf(entry->d_name, "entry-%d", &number) != 1)
            continue;
        if (seen[number]++)
            fail(__LINE__, "%s comes twice", entry->d_name);
        if (number % 2) {
            snprintf(name, sizeof name, "d/entry-%d", number);
            DO(unlink(name));
        }
    }
    for (int i = 0; i < COUNT; i += 2)
        IS(1, seen[i]);
    /* Back to an entry. */
    rewinddir(dir);
    long middle = -1;
    char after[256] = "";
    for (int i = 0; (entry = readdir(dir)); i++) {
        if (i == 300)
            middle = telldir(dir);
        if (i == 301)
            strcpy(after, entry->d_name);
    }
    seekdir(dir, middle);
    entry = readdir(dir);
    if (!entry || strcmp(entry->d_name, after))
        fail(__LINE__, "seekdir comes to %s, not %s", entry ? entry->d_name : "the end", after);
    closedir(dir);
    for (int i = 0; i < COUNT; i += 2) {
        snprintf(name, sizeof name, "d/entry-%d", i);
        DO(unlink(name));
    }
    DO(rmdir("d"));
}

static void names(void)
{
    static const char *const strange[] = {
        "with space", "new\nline", "\xff\xfe not UTF-8", "\xc3\xa4\xe2\x82\xac", "-dash", "...", "a:b",
        "back\\slash", "quote\"'", "tab\t", "\x01\x7f", "%41", "CON", "trailing.", "trailing ", "*?<>|",
    };
    char name[NAME_MAX + 2];
    int count = (int)(sizeof strange / sizeof *strange), found = 0;
    for (int i = 0; i < count; i++)
        put(strange[i], strange[i]);
    for (int i = 0; i < count; i++)
        HOLDS(strange[i], strange[i]);
    DIR *dir = opendir(".");
    struct dirent *entry;
    while ((entry = readdir(dir)))
        for (int i = 0; i < count; i++)
            found += !strcmp(entry->d_name, strange[i]);
    closedir(dir);
    IS(count, found);
    memset(name, 'n', sizeof name);
    name[NAME_MAX] = 0;
    put(name, "long");
    HOLDS(name, "long");
    name[NAME_MAX] = 'n';
    name[NAME_MAX + 1] = 0;
    FAILS(ENAMETOOLONG, open(name, O_RDONLY | O_CREAT, 0644));
    /* Case matters. */
    put("case", "1");
    put("CASE", "2");
    HOLDS("case", "1");
}

static void times(void)
{
    struct timespec wanted[2] = {{1000000000, 123456789}, {1234567890, 987654321}}, now;
    put("f", "1");
    DO(utimensat(AT_FDCWD, "f", wanted, 0));
    struct stat st = at("f");
    IS(1000000000, st.st_atim.tv_sec);
    IS(1234567890, st.st_mtim.tv_sec);
    /* Linux's 9p client cuts to whole seconds; Node's calls to microseconds. */
    if (st.st_atim.tv_nsec || st.st_mtim.tv_nsec) {
        IS(123456, st.st_atim.tv_nsec / 1000);
        IS(987654, st.st_mtim.tv_nsec / 1000);
    }
    wanted[0].tv_nsec = UTIME_OMIT;
    wanted[1].tv_nsec = UTIME_NOW;
    DO(utimensat(AT_FDCWD, "f", wanted, 0));
    st = at("f");
    clock_gettime(CLOCK_REALTIME, &now);
    IS(1000000000, st.st_atim.tv_sec);
    if (llabs((long long)st.st_mtim.tv_sec - now.tv_sec) > 3600 * 24)
        fail(__LINE__, "the time of change is %lld, now is %lld", (long long)st.st_mtim.tv_sec,
             (long long)now.tv_sec);
    /* Before 1970. */
    wanted[0] = (struct timespec){-1000, 0};
    wanted[1] = (struct timespec){-2000, 0};
    DO(utimensat(AT_FDCWD, "f", wanted, 0));
    /* Linux's 9p client stops at 1970. */
    if (at("f").st_mtim.tv_sec)
        IS(-2000, at("f").st_mtim.tv_sec);
    wanted[1] = (struct timespec){1000, 0};
    DO(utimensat(AT_FDCWD, "f", wanted, 0));
    int fd = open("f", O_WRONLY);
    IS(1, write(fd, "2", 1));
    DO(close(fd));
    if (at("f").st_mtim.tv_sec <= 1000)
        fail(__LINE__, "a write does not change the time");
    DO(symlink("f", "l"));
    wanted[0] = wanted[1] = (struct timespec){777, 0};
    DO(utimensat(AT_FDCWD, "l", wanted, AT_SYMLINK_NOFOLLOW));
    IS(777, at("l").st_mtim.tv_sec);
}

/* In a child, since locks of one process never conflict. */
static int child_cannot_lock(short type, off_t start, off_t length)
{
    pid_t child = fork();
    if (child == 0) {
        struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
        int fd = open("f", O_RDWR);
        _exit(fcntl(fd, F_SETLK, &lock) < 0 && (errno == EAGAIN || errno == EACCES));
    }
    int status = 0;
    DO(waitpid(child, &status, 0));
    return WEXITSTATUS(status);
}

static void locks(void)
{
    int fd = make("f", "0123456789");
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 3};
    DO(fcntl(fd, F_SETLK, &lock));
    IS(1, child_cannot_lock(F_WRLCK, 0, 0));
    IS(1, child_cannot_lock(F_RDLCK, 4, 1));
    IS(0, child_cannot_lock(F_WRLCK, 5, 5));
    lock.l_type = F_UNLCK;
    DO(fcntl(fd, F_SETLK, &lock));
    IS(0, child_cannot_lock(F_WRLCK, 0, 0));
    lock.l_type = F_RDLCK;
    DO(fcntl(fd, F_SETLK, &lock));
    IS(0, child_cannot_lock(F_RDLCK, 0, 0));
    IS(1, child_cannot_lock(F_WRLCK, 0, 0));
    DO(close(fd));
    IS(0, child_cannot_lock(F_WRLCK, 0, 0));
}

static void large_writes(void)
{
    enum { BYTES = 3 << 20 };
    unsigned char *data = malloc(BYTES), *back = malloc(BYTES);
    uint32_t state = 12345;
    for (int i = 0; i < BYTES; i++)
        data[i] = (unsigned char)((state = state * 1664525 + 1013904223) >> 24);
    int fd = make("f", "");
    IS(BYTES, write(fd, data, BYTES));
    DO(fsync(fd));
    DO(close(fd));
    fd = open("f", O_RDONLY);
    for (int done = 0; done < BYTES;) {
        ssize_t count = read(fd, back + done, (size_t)(BYTES - done));
        DO(count);
        done += (int)count;
    }
    SAME(data, back, BYTES);
    DO(close(fd));
    /* Odd pieces at odd places. */
    fd = open("f", O_RDWR);
    for (int i = 0; i < 300; i++) {
        int start = (int)((state = state * 1664525 + 1013904223) % (BYTES - 9000));
        int length = (int)((state = state * 1664525 + 1013904223) % 9000);
        memset(data + start, i, (size_t)length);
        IS(length, pwrite(fd, data + start, (size_t)length, start));
    }
    IS(BYTES, pread(fd, back, BYTES, 0));
    SAME(data, back, BYTES);
    DO(close(fd));
    free(data);
    free(back);
}

static void mappings(void)
{
    int fd = make("f", "");
    DO(ftruncate(fd, 8192));
    char *map = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED)
        fail(__LINE__, "mmap: %s", strerror(errno));
    IS(0, map[5000]);
    munmap(map, 8192);
    DO(close(fd));
}

static void shared_mappings(void)
{
    int fd = make("f", "");
    DO(ftruncate(fd, 8192));
    char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), got[4];
    if (map == MAP_FAILED)
        fail(__LINE__, "mmap: %s", strerror(errno));
    memcpy(map + 5000, "map", 3);
    DO(msync(map, 8192, MS_SYNC));
    IS(3, pread(fd, got, 3, 5000));
    SAME("map", got, 3);
    munmap(map, 8192);
    DO(close(fd));
}

static void extended_attributes(void)
{
    char got[256];
    put("f", "");
    DO(setxattr("f", "user.one", "1", 1, 0));
    DO(setxattr("f", "user.two", "two", 3, XATTR_CREATE));
    FAILS(EEXIST, setxattr("f", "user.one", "x", 1, XATTR_CREATE));
    FAILS(ENODATA, setxattr("f", "user.none", "x", 1, XATTR_REPLACE));
    IS(3, getxattr("f", "user.two", got, sizeof got));
    SAME("two", got, 3);
    IS(3, getxattr("f", "user.two", NULL, 0));
    FAILS(ERANGE, getxattr("f", "user.two", got, 2));
    FAILS(ENODATA, getxattr("f", "user.none", got, sizeof got));
    ssize_t length = listxattr("f", got, sizeof got);
    DO(length);
    int found = 0;
    for (char *name = got; name < got + length; name += strlen(name) + 1)
        found += !strcmp(name, "user.one") || !strcmp(name, "user.two");
    IS(2, found);
    DO(removexattr("f", "user.one"));
    FAILS(ENODATA, removexattr("f", "user.one"));
    FAILS(ENODATA, getxattr("f", "user.one", got, sizeof got));
}

static void file_system(void)
{
    struct statvfs vfs;
    DO(statvfs(".", &vfs));
    IS(1, vfs.f_bsize >= 512 && vfs.f_blocks > 0 && vfs.f_namemax >= 255);
    put("f", "1");
    int fd = open("f", O_RDWR);
    DO(fsync(fd));
    DO(fdatasync(fd));
    DO(close(fd));
    DO(fd = open(".", O_RDONLY | O_DIRECTORY));
    DO(fsync(fd));
    DO(close(fd));
}

/* Several processes at once, each with its own files and with one that all append to. */
static void processes(void)
{
    enum { PROCESSES = 4, ROUNDS = 50 };
    put("all", "");
    for (int number = 0; number < PROCESSES; number++) {
        pid_t child = fork();
        DO(child);
        if (child)
            continue;
        char from[32], to[32];
        if (setjmp(failed))
            _exit(1);
        for (int round = 0; round < ROUNDS; round++) {
            snprintf(from, sizeof from, "p%d-%d", number, round);
            snprintf(to, sizeof to, "q%d-%d", number, round);
            put(from, from);
            DO(rename(from, to));
            HOLDS(to, from);
            DO(unlink(to));
            int fd = open("all", O_WRONLY | O_APPEND);
            IS(8, write(fd, "12345678", 8));
            DO(close(fd));
        }
        _exit(0);
    }
    for (int number = 0; number < PROCESSES; number++) {
        int status;
        DO(wait(&status));
        IS(0, status);
    }
    IS(8 * PROCESSES * ROUNDS, at("all").st_size);
}

static const struct {
    const char *name;
    void (*run)(void);
} checks[] = {
    {"create-and-read", create_and_read},
    {"append", append},
    {"truncation", truncation},
    {"sparse", sparse},
    {"unlinked-but-open", unlinked_but_open},
    {"hard-links", hard_links},
    {"symbolic-links", symbolic_links},
    {"renames", renames},
    {"rename-of-a-parent", rename_of_a_parent},
    {"modes", modes},
    {"owners", owners},
    {"special-files", special_files},
    {"folders", folders},
    {"large-folder", large_folder},
    {"names", names},
    {"times", times},
    {"locks", locks},
    {"large-writes", large_writes},
    {"mappings", mappings},
    {"shared-mappings", shared_mappings},
    {"extended-attributes", extended_attributes},
    {"file-system", file_system},
    {"processes", processes},
};

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    char name[PATH_MAX];
    while (dir && (entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (unlink(name) < 0)
            remove_tree(name);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

static int skipped(const char *name, int argc, char **argv)
{
    for (int i = 2; i + 1 < argc; i += 2)
        if (!strcmp(argv[i], "-x") && !strcmp(argv[i + 1], name))
            return 1;
    return 0;
}

int main(int argc, char **argv)
{
    static int passed, lost; /* setjmp: not in registers */
    static size_t i;
    char start[PATH_MAX];
    if (argc < 2 || chdir(argv[1]) < 0 || !getcwd(start, sizeof start)) {
        fprintf(stderr, "usage: posix FOLDER [-x NAME ...]\n");
        return 2;
    }
    umask(022);
    for (i = 0; i < sizeof checks / sizeof *checks; i++) {
        if (skipped(checks[i].name, argc, argv)) {
            printf("skip %s\n", checks[i].name);
            continue;
        }
        if (mkdir("posix-test", 0755) < 0 || chdir("posix-test") < 0) {
            perror("posix-test");
            return 2;
        }
        if (setjmp(failed)) {
            printf("FAIL %s: %s\n", checks[i].name, reason);
            lost++;
        } else {
            checks[i].run();
            printf("ok   %s\n", checks[i].name);
            passed++;
        }
        fflush(stdout);
        if (chdir(start) < 0)
            return 2;
        remove_tree("posix-test");
    }
    printf("posix: %d passed, %d failed\n", passed, lost);
    return lost != 0;
}
