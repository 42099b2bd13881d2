// flags: -O2 -g
/* Works on under a limit of address space (`ulimit -v`), set midway at 64 MiB above what is in use: allocations fail, are no
 * allocations, and the program copes. */
#include "truth.h"
#include <sys/resource.h>

int main(void) {
    unsigned long pages;
    FILE *file = fopen("/proc/self/statm", "r");
    must(file && fscanf(file, "%lu", &pages) == 1);
    fclose(file);
    struct rlimit limit = {(pages << 12) + (64 << 20), (pages << 12) + (64 << 20)};
    must(setrlimit(RLIMIT_AS, &limit) == 0);

    enum { CHUNKS = 4096 };
    static void *chunks[CHUNKS];
    int failures = 0;
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < CHUNKS; i++) {
            chunks[i] = malloc(100000);
            if (chunks[i]) took(chunks[i], 100000);
            else failures++;
        }
        for (int i = 0; i < CHUNKS; i++) {
            if (chunks[i]) give(chunks[i], 100000);
        }
        for (int i = 0; i < 10000; i++) give(take((size_t)(i % 1000)), (size_t)(i % 1000));
    }
    must(failures > 0);
    print_truth();
    return 0;
}
