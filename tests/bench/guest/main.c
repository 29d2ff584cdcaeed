/* `bench KERNEL ROUNDS` runs a kernel and prints its checksum; `bench data BYTES` and `bench lines N`
 * write the input of the real programs; `bench nothing` ends at once. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

static const struct kernel *find(const char *name)
{
    static const struct kernel *const tables[] = {
        integer_kernels, floating_kernels, memory_kernels,
        system_kernels, harts_kernels, files_kernels,
    };
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        for (const struct kernel *kernel = tables[i]; kernel->name; kernel++)
            if (!strcmp(kernel->name, name))
                return kernel;
    return NULL;
}

/* Text of a thousand words, the lower ones more frequent: packs about 3 to 1. */
static void write_data(uint64_t bytes)
{
    uint64_t seed = 31, written = 0;
    char words[1000][10];
    for (int i = 0; i < 1000; i++) {
        uint64_t random = next_random(&seed);
        int length = 2 + (int)(random >> 60) / 2;
        for (int k = 0; k < length; k++)
            words[i][k] = (char)('a' + (random >> (5 * k) & 31) % 26);
        words[i][length] = 0;
    }
    while (written < bytes) {
        uint64_t random = next_random(&seed);
        uint64_t limit = random >> 60 ? 1 + (random >> 40) % 1000 : 1000;
        const char *word = words[(random >> 20) % limit];
        size_t length = strlen(word);
        if (length > bytes - written - 1)
            length = (size_t)(bytes - written - 1);
        fwrite(word, 1, length, stdout);
        putchar(random % 11 ? ' ' : '\n');
        written += length + 1;
    }
}

static void write_lines(uint64_t count)
{
    uint64_t seed = 32;
    while (count--) {
        uint64_t random = next_random(&seed);
        printf("%05" PRIu64 " %016" PRIx64 "\n", random >> 50, random * random);
    }
}

int main(int argc, char **argv)
{
    const struct kernel *kernel = argc > 1 ? find(argv[1]) : NULL;
    uint64_t rounds = argc > 2 ? strtoull(argv[2], NULL, 10) : 0;
    if (argc > 1 && !strcmp(argv[1], "nothing"))
        return 42;
    if (argc > 2 && !strcmp(argv[1], "data"))
        write_data(rounds);
    else if (argc > 2 && !strcmp(argv[1], "lines"))
        write_lines(rounds);
    else if (kernel && argc > 2)
        printf("checksum %016" PRIx64 "\n", kernel->run(rounds));
    else
        return fprintf(stderr, "usage: bench KERNEL ROUNDS\n"), 2;
    return fflush(stdout) ? 1 : 0;
}
