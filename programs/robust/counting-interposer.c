// flags: -O2 -g -shared -fPIC
/* A second library for LD_PRELOAD that counts calls and passes them on: what must keep working before and behind the
 * recorder. Its destructor writes to standard error
 *     interposer allocations=A frees=F
 * where a realloc is both. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static unsigned long allocations, frees;
static void *(*next_malloc)(size_t), *(*next_calloc)(size_t, size_t), *(*next_realloc)(void *, size_t);
static void (*next_free)(void *);

/* For what dlsym itself asks for, before the functions behind are known. */
static _Alignas(16) char early[8192];
static size_t early_used;
static __thread int finding;

static int find(void) {
    if (next_free) return 1;
    if (finding) return 0;
    finding = 1;
    *(void **)&next_malloc = dlsym(RTLD_NEXT, "malloc");
    *(void **)&next_calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&next_realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&next_free = dlsym(RTLD_NEXT, "free");
    finding = 0;
    return 1;
}

static void *from_early(size_t bytes) {
    bytes = (bytes + 15) & ~(size_t)15;
    if (bytes > sizeof early - early_used) return NULL;
    early_used += bytes;
    return early + early_used - bytes;
}

static int is_early(void *block) { return (char *)block >= early && (char *)block < early + sizeof early; }

static void *counted(void *block) {
    if (block) __atomic_fetch_add(&allocations, 1, __ATOMIC_RELAXED);
    return block;
}

void *malloc(size_t bytes) { return find() ? counted(next_malloc(bytes)) : from_early(bytes); }

void *calloc(size_t count, size_t bytes) { return find() ? counted(next_calloc(count, bytes)) : from_early(count * bytes); }

void *realloc(void *block, size_t bytes) {
    if (!find()) return from_early(bytes);
    if (is_early(block)) {
        void *moved = counted(next_malloc(bytes));
        size_t rest = (size_t)(early + sizeof early - (char *)block);
        if (moved) memcpy(moved, block, bytes < rest ? bytes : rest);
        return moved;
    }
    void *moved = next_realloc(block, bytes);
    if (block && (moved || bytes == 0)) __atomic_fetch_add(&frees, 1, __ATOMIC_RELAXED);
    return counted(moved);
}

void free(void *block) {
    if (!block || is_early(block) || !find()) return;
    __atomic_fetch_add(&frees, 1, __ATOMIC_RELAXED);
    next_free(block);
}

__attribute__((destructor)) static void say_counts(void) {
    char line[80];
    int length = snprintf(line, sizeof line, "interposer allocations=%lu frees=%lu\n", allocations, frees);
    if (write(2, line, (size_t)length) != length) return;
}
