// flags: -O2 -g -pthread
// needs: robust/plugin-alpha robust/plugin-bravo
/* dlopen and dlclose of two libraries of identical layout in turn, at the same address, each allocating a known number of blocks of its
 * own size, while other threads allocate. Addresses of the library that is gone must not be credited to its successor. The
 * blocks outlive their library; libdl's own are not in the line. */
#define _GNU_SOURCE
#include "truth.h"
#include <dlfcn.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>

enum { ROUNDS = 300, BLOCKS = 10 };
static volatile int stop;

static void *allocate(void *argument) {
    for (int i = 0; i < 20000 || !stop; i++) give(take((size_t)(i % 900)), (size_t)(i % 900));
    return argument;
}

static void load(const char *folder, const char *name, size_t bytes, void **address) {
    char path[PATH_MAX + 64];
    snprintf(path, sizeof path, "%s/plugin-%s.so", folder, name);
    void *library = dlopen(path, RTLD_NOW);
    if (!library) say("%s\n", dlerror());
    must(library != NULL);
    snprintf(path, sizeof path, "%s_fill", name);
    void (*fill)(void **, int) = (void (*)(void **, int))dlsym(library, path);
    must(fill != NULL);
    void *blocks[BLOCKS];
    fill(blocks, BLOCKS);
    *address = (void *)fill;
    must(dlclose(library) == 0);
    for (int i = 0; i < BLOCKS; i++) give(took(blocks[i], bytes), bytes);
}

int main(void) {
    char self[PATH_MAX] = "";
    must(readlink("/proc/self/exe", self, sizeof self - 1) > 0);
    const char *folder = dirname(self);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) must(pthread_create(&threads[i], NULL, allocate, NULL) == 0);
    int same = 0;
    for (int i = 0; i < ROUNDS; i++) {
        void *alpha, *bravo;
        load(folder, "alpha", 1001, &alpha);
        load(folder, "bravo", 2002, &bravo);
        same += alpha == bravo;
    }
    stop = 1;
    for (int i = 0; i < 2; i++) must(pthread_join(threads[i], NULL) == 0);
    must(same > 0);
    say("path main load alpha_fill alpha_inner allocations=%d size=1001\n", ROUNDS * BLOCKS);
    say("path main load bravo_fill bravo_inner allocations=%d size=2002\n", ROUNDS * BLOCKS);
    print_truth();
    return 0;
}
