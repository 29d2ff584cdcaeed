/* Disks and shared folders: /dev/vda, past the page cache, and files of /share. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

enum { MIB = 1 << 20, DISK_MIB = 128, BLOCK = 4096, LARGE = 256 << 10, THREADS = 8 };

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static uint8_t *aligned(size_t bytes)
{
    uint8_t *memory = aligned_alloc(BLOCK, bytes);
    if (!memory)
        fail("memory");
    memset(memory, 0x5a, bytes);
    return memory;
}

static int open_disk(void)
{
    int disk = open("/dev/vda", O_RDWR | O_DIRECT);
    if (disk < 0)
        fail("/dev/vda");
    return disk;
}

static void transfer(int file, int writes, uint8_t *data, size_t bytes, off_t at)
{
    ssize_t done = writes ? pwrite(file, data, bytes, at) : pread(file, data, bytes, at);
    if (done != (ssize_t)bytes)
        fail(writes ? "write" : "read");
}

/* One MiB a round, in large requests. */
static uint64_t sequential(uint64_t rounds, int writes)
{
    int disk = open_disk();
    uint8_t *data = aligned(LARGE);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < rounds * (MIB / LARGE); i++) {
        if (writes)
            memcpy(data, &i, sizeof i);
        transfer(disk, writes, data, LARGE, (off_t)(i % (DISK_MIB * (MIB / LARGE)) * LARGE));
        sum = fold(sum, data[i % 8]);
    }
    if (writes && fdatasync(disk))
        fail("fdatasync");
    close(disk);
    free(data);
    return sum;
}

static uint64_t write_sequential(uint64_t rounds)
{
    return sequential(rounds, 1);
}

static uint64_t read_sequential(uint64_t rounds)
{
    return sequential(rounds, 0);
}

struct random_work {
    uint64_t rounds, seed, sum;
    int writes;
};

/* Blocks anywhere on the disk, one request at a time. */
static void *random_thread(void *argument)
{
    struct random_work *work = argument;
    int disk = open_disk();
    uint8_t *data = aligned(BLOCK);
    for (uint64_t i = 0; i < work->rounds; i++) {
        uint64_t block = next_random(&work->seed) % (DISK_MIB * (MIB / BLOCK));
        transfer(disk, work->writes, data, BLOCK, (off_t)(block * BLOCK));
        work->sum = fold(work->sum, block);
    }
    close(disk);
    free(data);
    return NULL;
}

static uint64_t random_blocks(uint64_t rounds, int writes, int threads)
{
    pthread_t thread[THREADS];
    struct random_work work[THREADS];
    uint64_t sum = 0;
    for (int i = 0; i < threads; i++) {
        work[i] = (struct random_work){ rounds, 41 + (uint64_t)i, 0, writes };
        if (pthread_create(&thread[i], NULL, random_thread, &work[i]))
            fail("thread");
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(thread[i], NULL);
        sum = fold(sum, work[i].sum);
    }
    return sum;
}

static uint64_t write_random(uint64_t rounds)
{
    return random_blocks(rounds, 1, 1);
}

static uint64_t read_random(uint64_t rounds)
{
    return random_blocks(rounds, 0, 1);
}

static uint64_t read_random_deep(uint64_t rounds)
{
    return random_blocks(rounds, 0, THREADS);
}

static const char FILE_NAME[] = "/share/file";

/* One MiB a round over a file of a share, in calls of 64 KiB. */
static uint64_t share_sequential(uint64_t rounds, int writes)
{
    enum { CALL = 64 << 10, FILE_MIB = 64 };
    int file = open(FILE_NAME, writes ? O_RDWR | O_CREAT : O_RDONLY, 0644);
    uint8_t *data = aligned(CALL);
    uint64_t sum = 0;
    if (file < 0)
        fail(FILE_NAME);
    for (uint64_t i = 0; i < rounds * (MIB / CALL); i++) {
        transfer(file, writes, data, CALL, (off_t)(i % (FILE_MIB * (MIB / CALL)) * CALL));
        sum = fold(sum, data[i % CALL]);
    }
    close(file);
    free(data);
    return sum;
}

static uint64_t share_write(uint64_t rounds)
{
    return share_sequential(rounds, 1);
}

static uint64_t share_read(uint64_t rounds)
{
    return share_sequential(rounds, 0);
}

enum { TREE_FILES = 20 };

static void tree_name(char *name, uint64_t folder, int file)
{
    if (file < 0)
        sprintf(name, "/share/tree/%d", (int)folder);
    else
        sprintf(name, "/share/tree/%d/some-file-%d.c", (int)folder, file);
}

static void tree_fill(uint64_t folder, const uint8_t *data)
{
    char name[64];
    tree_name(name, folder, -1);
    if (mkdir(name, 0755))
        fail(name);
    for (int i = 0; i < TREE_FILES; i++) {
        tree_name(name, folder, i);
        int file = open(name, O_WRONLY | O_CREAT | O_EXCL, 0644);
        if (file < 0 || write(file, data, 3000) != 3000 || fchmod(file, 0600) || close(file))
            fail(name);
    }
}

static void tree_clear(uint64_t folder)
{
    char name[64];
    for (int i = 0; i < TREE_FILES; i++) {
        tree_name(name, folder, i);
        if (unlink(name))
            fail(name);
    }
    tree_name(name, folder, -1);
    if (rmdir(name))
        fail(name);
}

/* A folder of small files a round, as tar makes them; then all are removed. */
static uint64_t untar(uint64_t rounds)
{
    uint8_t *data = aligned(BLOCK);
    if (mkdir("/share/tree", 0755))
        fail("/share/tree");
    for (uint64_t i = 0; i < rounds; i++)
        tree_fill(i, data);
    for (uint64_t i = 0; i < rounds; i++)
        tree_clear(i);
    if (rmdir("/share/tree"))
        fail("/share/tree");
    free(data);
    return rounds;
}

static uint64_t walk_folder(const char *path)
{
    uint64_t sum = 0;
    DIR *folder = opendir(path);
    struct dirent *entry;
    struct stat status;
    if (!folder)
        fail(path);
    while ((entry = readdir(folder))) {
        if (fstatat(dirfd(folder), entry->d_name, &status, AT_SYMLINK_NOFOLLOW))
            fail(entry->d_name);
        sum += S_ISREG(status.st_mode) ? (uint64_t)status.st_size : 1;
    }
    closedir(folder);
    return sum;
}

/* Lists and looks at a tree that is there, again and again, as find and git status do. */
static uint64_t walk(uint64_t rounds)
{
    enum { FOLDERS = 10 };
    uint8_t *data = aligned(BLOCK);
    uint64_t sum = 0;
    char name[64];
    if (mkdir("/share/tree", 0755))
        fail("/share/tree");
    for (uint64_t i = 0; i < FOLDERS; i++)
        tree_fill(i, data);
    while (rounds--)
        for (uint64_t i = 0; i < FOLDERS; i++) {
            tree_name(name, i, -1);
            sum = fold(sum, walk_folder(name));
        }
    for (uint64_t i = 0; i < FOLDERS; i++)
        tree_clear(i);
    if (rmdir("/share/tree"))
        fail("/share/tree");
    free(data);
    return sum;
}

const struct kernel files_kernels[] = {
    { "disk-write", write_sequential },
    { "disk-read", read_sequential },
    { "disk-write4k", write_random },
    { "disk-read4k", read_random },
    { "disk-read4k8", read_random_deep },
    { "share-write", share_write },
    { "share-read", share_read },
    { "share-untar", untar },
    { "share-walk", walk },
    { NULL, NULL },
};
