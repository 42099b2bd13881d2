// flags: -O1 -g -pthread -fno-builtin
/* Four threads that each free what their neighbour made: totals are the same on every run, the owner of a free is not the
 * owner of the allocation. libc allocates one vector (dtv) for each thread besides. */
#include "truth.h"
#include <pthread.h>

enum { THREADS = 4, BLOCKS = 25000 };
static void *blocks[THREADS][BLOCKS];
static pthread_barrier_t made;

static size_t size_of(int thread, int i) { return (size_t)(16 + thread * 8 + i % 500); }

static void *work(void *argument) {
    int self = (int)(long)argument, other = (self + 1) % THREADS;
    for (int i = 0; i < BLOCKS; i++) blocks[self][i] = take(size_of(self, i));
    pthread_barrier_wait(&made);
    for (int i = 0; i < BLOCKS; i++) {
        if (i % 100 == 0) continue; /* live at exit */
        if (i % 3 == 0) {
            gave(size_of(other, i));
            blocks[other][i] = took(realloc(blocks[other][i], 700), 700);
            give(blocks[other][i], 700);
        } else {
            give(blocks[other][i], size_of(other, i));
        }
    }
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    pthread_barrier_init(&made, NULL, THREADS);
    for (long i = 0; i < THREADS; i++) must(pthread_create(&threads[i], NULL, work, (void *)i) == 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    print_truth();
    return 0;
}
