// flags: -O1 -g -fno-builtin
/* pvalloc alone, because valgrind 3.19 ends a program that calls it. The size asked for is counted, not the pages that it is
 * rounded to. */
#define _GNU_SOURCE
#include "truth.h"
#include <malloc.h>
#include <stdint.h>

int main(void) {
    void *page = took(pvalloc(100), 100);
    must((uintptr_t)page % 4096 == 0);
    memset(page, 1, 4096);
    give(page, 100);
    took(pvalloc(5000), 5000); /* live at exit */
    print_truth();
    return 0;
}
