// flags: -O2 -g -pthread
/* Threads on the smallest stack there is (16 KiB), of which the static thread-local storage takes its part. */
#include "truth.h"
#include <limits.h>
#include <pthread.h>

static void *work(void *argument) {
    char used[2048];
    memset(used, 1, sizeof used);
    for (int i = 0; i < 100; i++) {
        void *block = take(100);
        gave(100);
        block = took(realloc(block, 3000), 3000);
        give(block, 3000);
    }
    keep_frame();
    return used[7] == 1 ? argument : NULL;
}

int main(void) {
    pthread_attr_t smallest;
    pthread_attr_init(&smallest);
    must(pthread_attr_setstacksize(&smallest, PTHREAD_STACK_MIN) == 0);
    for (int i = 0; i < 100; i++) {
        pthread_t thread;
        must(pthread_create(&thread, &smallest, work, NULL) == 0);
        must(pthread_join(thread, NULL) == 0);
    }
    print_truth();
    return 0;
}
