// flags: -O1 -g
/* mmap, munmap and mremap: mapped memory, counted apart from the heap. Its line says so:
 *     mappings mapped=A mapped_bytes=B unmapped=C unmapped_bytes=D left_bytes=E
 * in whole pages; a mremap is one unmapping of the old and one mapping of the new. Libc's own mappings for large blocks are not
 * made by these functions' callers in the program, and no heap block is made here. */
#define _GNU_SOURCE
#include "truth.h"
#include <sys/mman.h>

enum { PAGE = 4096 };
static unsigned long long mapped, mapped_bytes, unmapped, unmapped_bytes;

static void *map(size_t bytes) {
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    must(at != MAP_FAILED);
    mapped++, mapped_bytes += (bytes + PAGE - 1) / PAGE * PAGE;
    return at;
}

static void unmap(void *at, size_t bytes) {
    must(munmap(at, bytes) == 0);
    unmapped++, unmapped_bytes += (bytes + PAGE - 1) / PAGE * PAGE;
}

int main(void) {
    for (int i = 1; i <= 100; i++) unmap(map(PAGE * i), PAGE * i);
    unmap(map(100), 100);

    char *split = map(10 * PAGE);
    unmap(split + 2 * PAGE, 3 * PAGE); /* a hole: 7 pages are left */

    char *grown = map(PAGE);
    grown = mremap(grown, PAGE, 50 * PAGE, MREMAP_MAYMOVE);
    must(grown != MAP_FAILED);
    unmapped++, unmapped_bytes += PAGE;
    mapped++, mapped_bytes += 50 * PAGE;
    grown[49 * PAGE] = 1; /* left at exit */

    must(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    must(mmap(NULL, (size_t)-1 / 2, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
    say("mappings mapped=%llu mapped_bytes=%llu unmapped=%llu unmapped_bytes=%llu left_bytes=%llu\n", mapped, mapped_bytes,
        unmapped, unmapped_bytes, mapped_bytes - unmapped_bytes);
    print_truth();
    return 0;
}
