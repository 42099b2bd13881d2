// flags: -O2 -g -pthread -fexceptions
/* Cancelled threads: a forced unwind through allocating frames, with clean-up handlers that free. */
#include "truth.h"
#include <pthread.h>

static pthread_barrier_t ready;

static void clean(void *block) {
    give(take(88), 88);
    give(block, 300);
}

__attribute__((noinline)) static void hold(int depth) {
    void *block = take(300);
    pthread_cleanup_push(clean, block);
    if (depth > 0) {
        hold(depth - 1);
    } else {
        pthread_barrier_wait(&ready);
        for (volatile int forever = 1; forever;) pause();
    }
    pthread_cleanup_pop(1);
}

static void *work(void *argument) {
    hold(10);
    return argument;
}

int main(void) {
    /* The first cancellation loads libgcc_s. */
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        void *result;
        pthread_barrier_init(&ready, NULL, 2);
        must(pthread_create(&thread, NULL, work, NULL) == 0);
        pthread_barrier_wait(&ready);
        must(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
    }
    must(truth_allocations == truth_frees);
    print_truth();
    return 0;
}
