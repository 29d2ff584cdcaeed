/*
 * Writes records and says when each is on stable storage, for a machine that loses its power at any
 * moment:
 *
 *   cut FOLDER LAST     LAST: the last record that an earlier run acknowledged, -1 if there is none
 *
 * First it checks that all records up to LAST (of those that are kept) are there and whole, and says
 * "records are whole"; then it goes on behind the last one that it finds, and prints "ACK N" when
 * record N cannot be lost any more. Records are appended to files, a new file appears by rename, and
 * old files vanish.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORD_BYTES 3000
#define RECORDS_PER_FILE 32
#define FILES_KEPT 40

static void die(const char *what, long record)
{
    printf("FAIL %s, record %ld: %s\n", what, record, strerror(errno));
    exit(1);
}

/* What record N is: no two are alike. */
static void make_record(char *bytes, long record)
{
    unsigned long state = (unsigned long)record * 0x9e3779b97f4a7c15ul + 1;
    for (int i = 0; i < RECORD_BYTES; i++) {
        state = state * 6364136223846793005ul + 1442695040888963407ul;
        bytes[i] = (char)(state >> 56);
    }
}

static const char *file_of(long record)
{
    static char name[64];
    snprintf(name, sizeof name, "records-%ld", record / RECORDS_PER_FILE);
    return name;
}

/* Is record N there, and right? Exits if it is there in part or wrong, and was acknowledged. */
static int is_there(long record, int must)
{
    char wanted[RECORD_BYTES], found[RECORD_BYTES];
    int fd = open(file_of(record), O_RDONLY);
    if (fd < 0 && must)
        die("its file is lost", record);
    if (fd < 0)
        return 0;
    ssize_t count = pread(fd, found, RECORD_BYTES, record % RECORDS_PER_FILE * RECORD_BYTES);
    close(fd);
    make_record(wanted, record);
    int right = count == RECORD_BYTES && !memcmp(wanted, found, RECORD_BYTES);
    if (must && !right)
        die(count == RECORD_BYTES ? "it is wrong" : "it is short", record);
    return right;
}

static void sync_folder(long record)
{
    int fd = open(".", O_RDONLY | O_DIRECTORY);
    if (fd < 0 || fsync(fd) < 0 || close(fd) < 0)
        die("fsync of the folder", record);
}

static void append(long record)
{
    char bytes[RECORD_BYTES];
    int first = record % RECORDS_PER_FILE == 0;
    const char *name = first ? "new" : file_of(record);
    int fd = open(name, O_WRONLY | O_CREAT, 0644);
    make_record(bytes, record);
    if (fd < 0)
        die("open", record);
    off_t at = record % RECORDS_PER_FILE * RECORD_BYTES;
    if (pwrite(fd, bytes, RECORD_BYTES, at) != RECORD_BYTES)
        die("write", record);
    if (fsync(fd) < 0 || close(fd) < 0)
        die("fsync", record);
    if (!first)
        return;
    if (rename("new", file_of(record)) < 0)
        die("rename", record);
    long old = record - FILES_KEPT * RECORDS_PER_FILE;
    if (old >= 0 && unlink(file_of(old)) < 0 && errno != ENOENT)
        die("unlink", old);
    sync_folder(record);
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc != 3 || chdir(argv[1]) < 0) {
        fprintf(stderr, "usage: cut FOLDER LAST\n");
        return 2;
    }
    long last = atol(argv[2]);
    long newest_file = last / RECORDS_PER_FILE;
    /* A file more may have gone than was acknowledged. */
    long first_file = newest_file - FILES_KEPT + 3;
    long record = first_file > 0 ? first_file * RECORDS_PER_FILE : 0;
    for (; record <= last; record++)
        is_there(record, 1);
    while (is_there(record, 0))
        record++;
    printf("records are whole up to %ld\n", record - 1);
    for (;; record++) {
        append(record);
        printf("ACK %ld\n", record);
    }
}
