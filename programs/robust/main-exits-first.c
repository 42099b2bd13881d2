// flags: -O2 -g -pthread
/* The main thread ends by pthread_exit; the others work on and the last one ends the process. */
#include "truth.h"
#include <pthread.h>

static pthread_t first;
static pthread_barrier_t main_is_gone;

static void *work(void *argument) {
    if (argument) {
        must(pthread_join(first, NULL) == 0);
        pthread_barrier_wait(&main_is_gone);
    } else {
        pthread_barrier_wait(&main_is_gone);
    }
    for (int i = 0; i < 10000; i++) give(take(96), 96);
    pthread_barrier_wait(&main_is_gone);
    if (!argument) return NULL;
    print_truth();
    exit(0);
}

int main(void) {
    pthread_t thread;
    first = pthread_self();
    pthread_barrier_init(&main_is_gone, NULL, 2);
    for (long i = 0; i < 2; i++) must(pthread_create(&thread, NULL, work, (void *)i) == 0);
    take(333); /* live at exit, its thread gone */
    pthread_exit(NULL);
}
