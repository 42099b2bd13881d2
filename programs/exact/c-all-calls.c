// flags: -O1 -g -fno-builtin
/* Every allocation function of C and POSIX, its edge cases, and its failures, which are no allocations. */
#define _GNU_SOURCE
#include "truth.h"
#include <errno.h>
#include <malloc.h>
#include <stdint.h>

static void *resize(void *block, size_t from, size_t to) {
    block = realloc(block, to);
    gave(from);
    return took(block, to);
}

static void plain(void) {
    for (size_t bytes = 0; bytes < 2000; bytes += 7) give(take(bytes), bytes);
    void *zeroed = took(calloc(13, 11), 143);
    for (int i = 0; i < 143; i++) must(((char *)zeroed)[i] == 0);
    give(zeroed, 143);
    give(took(calloc(0, 8), 0), 0);
    give(take(40 << 20), 40 << 20);
    free(NULL);
    took(calloc(3, 100), 300); /* live at exit */
}

static void resizing(void) {
    void *block = took(realloc(NULL, 10), 10);
    block = resize(block, 10, 1000);
    block = resize(block, 1000, 100);
    block = resize(block, 100, 100);
    block = resize(block, 100, 3 << 20);
    block = resize(block, 3 << 20, 6 << 20);
    block = resize(block, 6 << 20, 24);
    gave(24);
    must(realloc(block, 0) == NULL); /* glibc frees */
    give(took(realloc(NULL, 0), 0), 0);

    block = took(reallocarray(NULL, 7, 9), 63);
    block = reallocarray(block, 70, 9);
    gave(63);
    took(block, 630); /* live at exit */
}

static void aligned(void) {
    void *block;
    for (size_t alignment = 8; alignment <= 65536; alignment *= 2) {
        must(posix_memalign(&block, alignment, 100) == 0);
        must((uintptr_t)block % alignment == 0);
        give(took(block, 100), 100);
    }
    block = took(aligned_alloc(64, 640), 640);
    must((uintptr_t)block % 64 == 0);
    block = resize(block, 640, 6400);
    give(block, 6400);
    block = took(memalign(4096, 33), 33);
    must((uintptr_t)block % 4096 == 0);
    give(block, 33);
    block = took(valloc(77), 77);
    must((uintptr_t)block % 4096 == 0);
    give(block, 77);
    must(posix_memalign(&block, 32, 0) == 0);
    give(took(block, 0), 0);
}

/* The whole usable size belongs to the program. */
static void slack(void) {
    for (size_t bytes = 1; bytes < 300; bytes += 13) {
        unsigned char *block = take(bytes);
        size_t usable = malloc_usable_size(block);
        must(usable >= bytes);
        memset(block, 0xa5, usable);
        block = resize(block, bytes, usable + 100);
        for (size_t i = 0; i < usable; i++) must(block[i] == 0xa5);
        give(block, usable + 100);
    }
    must(malloc_usable_size(NULL) == 0);
}

static void failing(void) {
    volatile size_t huge = SIZE_MAX / 2;
    void *block;
    errno = 0;
    must(malloc(huge) == NULL && errno == ENOMEM);
    must(calloc(huge, 4) == NULL && errno == ENOMEM);
    must(calloc(huge, 1) == NULL);
    must(realloc(NULL, huge) == NULL);
    must(memalign(64, huge) == NULL);
    must(posix_memalign(&block, 64, huge) == ENOMEM);
    must(posix_memalign(&block, 3, 64) == EINVAL);

    char *kept = take(50);
    strcpy(kept, "still mine");
    errno = 0;
    must(realloc(kept, huge) == NULL && errno == ENOMEM);
    must(reallocarray(kept, huge, 4) == NULL && errno == ENOMEM);
    must(strcmp(kept, "still mine") == 0);
    give(kept, 50);
}

static void errno_is_kept(void) {
    errno = 1234;
    void *block = take(5000);
    must(errno == 1234);
    give(block, 5000);
    must(errno == 1234);
    give(take(64 << 20), 64 << 20); /* munmap inside free */
    must(errno == 1234);
}

int main(void) {
    plain();
    resizing();
    aligned();
    slack();
    failing();
    errno_is_kept();
    print_truth();
    return 0;
}
