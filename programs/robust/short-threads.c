// flags: -O2 -g -pthread
/* 100,000 threads, 50 alive at a time, each with two blocks: what is kept of a thread must not grow with their number.
 * `short-threads [COUNT]`. */
#include "truth.h"
#include <pthread.h>

static void *work(void *argument) {
    void *first = take(64), *second = take(200);
    give(first, 64);
    give(second, 200);
    return argument;
}

int main(int count, char **words) {
    enum { ALIVE = 50 };
    long threads = count > 1 ? atol(words[1]) : 100000;
    pthread_t alive[ALIVE];
    for (long i = 0; i < threads; i++) {
        if (i >= ALIVE) must(pthread_join(alive[i % ALIVE], NULL) == 0);
        must(pthread_create(&alive[i % ALIVE], NULL, work, NULL) == 0);
    }
    for (long i = 0; i < ALIVE && i < threads; i++) must(pthread_join(alive[i], NULL) == 0);
    print_truth();
    return 0;
}
