// flags: -O2 -g
/* Blocks made and freed by exit handlers of every kind, after main. The line comes from the last of them. */
#define _GNU_SOURCE
#include "truth.h"

static void *from_main;

static void third(void) { give(take(300), 300); }

static void second(void) {
    give(from_main, 1000);
    must(atexit(third) == 0); /* registered while handlers run */
    give(take(200), 200);
}

static void first(int status, void *block) {
    must(status == 0);
    give(block, 100);
    from_main = take(1000);
}

__attribute__((destructor(101))) static void last(void) {
    give(take(400), 400);
    take(77); /* live at exit */
    print_truth();
}

int main(void) {
    must(atexit(second) == 0);
    must(on_exit(first, take(100)) == 0);
    exit(0);
}
