// flags: -O2 -g -pthread
/* 64 KiB of static thread-local storage beside the recorder's own. */
#include "truth.h"
#include <pthread.h>

static __thread char large[64 << 10];

static void *work(void *argument) {
    for (size_t i = 0; i < sizeof large; i++) must(large[i] == 0);
    memset(large, 7, sizeof large);
    for (int i = 0; i < 1000; i++) give(take(80), 80);
    for (size_t i = 0; i < sizeof large; i++) must(large[i] == 7);
    return argument;
}

int main(void) {
    work(NULL);
    for (int i = 0; i < 20; i++) {
        pthread_t thread;
        must(pthread_create(&thread, NULL, work, NULL) == 0);
        must(pthread_join(thread, NULL) == 0);
    }
    print_truth();
    return 0;
}
