// flags: -O2 -g
/* Blocks made before main, from the very first code the program runs, and after it. */
#include "truth.h"

static void *earliest, *early, *late;

static void before_constructors(int count, char **words, char **environment) {
    (void)count, (void)words, (void)environment;
    earliest = take(11);
}

__attribute__((section(".preinit_array"), used)) static void (*const preinit)(int, char **, char **) = before_constructors;

__attribute__((constructor(101))) static void constructor(void) { early = take(22); }

__attribute__((constructor)) static void usual_constructor(void) { late = take(33); }

__attribute__((destructor(101))) static void destructor(void) {
    give(early, 22);
    give(take(44), 44);
    print_truth();
}

int main(void) {
    give(earliest, 11);
    give(late, 33);
    return 0;
}
