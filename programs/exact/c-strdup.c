// flags: -O1 -g -fno-builtin
/* Blocks that libc hands out in a function of its own and the program frees. */
#define _GNU_SOURCE
#include "truth.h"

int main(void) {
    for (int i = 0; i < 1000; i++) {
        char *copy = took(strdup("a line of text that is copied"), 30);
        give(copy, 30);
        copy = took(strndup("only the first part", 8), 9);
        give(copy, 9);
    }
    took(strdup("live at exit"), 13);
    print_truth();
    return 0;
}
