// flags: -O2 -g -pthread
/* 100,000 frames, a block made at each on the way down and freed on the way up, on a stack of 256 MiB. `deep-recursion [FRAMES]`. */
#include "truth.h"
#include <pthread.h>

__attribute__((noinline)) static long down(long depth) {
    void *block = take(32);
    long below = depth > 1 ? down(depth - 1) : 0;
    give(block, 32);
    return below + 1;
}

static void *work(void *argument) { return (void *)down((long)argument); }

int main(int count, char **words) {
    long frames = count > 1 ? atol(words[1]) : 100000;
    pthread_attr_t large;
    pthread_attr_init(&large);
    must(pthread_attr_setstacksize(&large, 256 << 20) == 0);
    pthread_t thread;
    void *depth;
    must(pthread_create(&thread, &large, work, (void *)frames) == 0);
    must(pthread_join(thread, &depth) == 0 && (long)depth == frames);
    print_truth();
    return 0;
}
