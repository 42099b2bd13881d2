// flags: -O2 -g -pthread
/* 500 threads alive at once, all allocating at the same moment. */
#include "truth.h"
#include <pthread.h>

enum { THREADS = 500 };
static pthread_barrier_t alive;

static void *work(void *argument) {
    pthread_barrier_wait(&alive);
    for (int i = 0; i < 200; i++) give(take((size_t)(32 + i)), (size_t)(32 + i));
    void *kept = take(48);
    pthread_barrier_wait(&alive);
    give(kept, 48);
    return argument;
}

int main(void) {
    pthread_t threads[THREADS];
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 128 << 10);
    pthread_barrier_init(&alive, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) must(pthread_create(&threads[i], &small, work, NULL) == 0);
    for (int i = 0; i < THREADS; i++) must(pthread_join(threads[i], NULL) == 0);
    print_truth();
    return 0;
}
