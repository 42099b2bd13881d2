// flags: -O2 -g -fno-builtin
/* Defines malloc and its family itself, over a static arena: a preloaded recorder sees none of it and must say so rather than show
 * an empty heap. The line tells what the program's own allocator did:
 *     own allocations=A frees=F */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static _Alignas(4096) char arena[16 << 20];
static size_t used;
static unsigned long allocations, frees;

struct header {
    size_t bytes;
};

static void *from_arena(size_t alignment, size_t bytes) {
    size_t start = (used + sizeof(struct header) + alignment - 1) / alignment * alignment;
    if (bytes > sizeof arena || start > sizeof arena - bytes) return NULL;
    used = start + bytes;
    ((struct header *)(arena + start))[-1].bytes = bytes;
    allocations++;
    return arena + start;
}

void *malloc(size_t bytes) { return from_arena(16, bytes); }

void free(void *block) { frees += block != NULL; }

void *calloc(size_t count, size_t bytes) {
    return bytes && count > SIZE_MAX / bytes ? NULL : from_arena(16, count * bytes); /* the arena is never used again */
}

void *realloc(void *block, size_t bytes) {
    void *moved = from_arena(16, bytes);
    if (block && moved) {
        size_t old = ((struct header *)block)[-1].bytes;
        memcpy(moved, block, old < bytes ? old : bytes);
        free(block);
    }
    return moved;
}

void *aligned_alloc(size_t alignment, size_t bytes) { return from_arena(alignment < 16 ? 16 : alignment, bytes); }

void *memalign(size_t alignment, size_t bytes) { return aligned_alloc(alignment, bytes); }

int posix_memalign(void **block, size_t alignment, size_t bytes) {
    *block = aligned_alloc(alignment, bytes);
    return *block ? 0 : 12;
}

size_t malloc_usable_size(void *block) { return block ? ((struct header *)block)[-1].bytes : 0; }

int main(void) {
    for (int i = 0; i < 10000; i++) free(malloc((size_t)(i % 500)));
    char *copy = strdup("from libc, through the program's malloc");
    if (copy < arena || copy >= arena + sizeof arena) return 1;
    free(copy);
    char line[80];
    int length = snprintf(line, sizeof line, "own allocations=%lu frees=%lu\n", allocations, frees);
    return write(1, line, (size_t)length) != length;
}
