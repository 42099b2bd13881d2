// flags: -O2 -g -pthread
/* Thread-local destructors that free late: keys whose destructors set themselves again until libc gives up, and
 * __cxa_thread_atexit, which runs before them. Every one frees a block of an earlier moment and makes and frees another. */
#include "truth.h"
#include <pthread.h>

enum { KEYS = 8 };
static pthread_key_t keys[KEYS];
extern int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);
extern void *__dso_handle;

struct late {
    int key, rounds;
};

static void at_key(void *argument) {
    struct late *late = argument;
    give(take(56), 56);
    if (late->rounds > 0) {
        struct late *again = take(sizeof *again);
        *again = (struct late){late->key, late->rounds - 1};
        must(pthread_setspecific(keys[late->key], again) == 0);
    }
    give(late, sizeof *late);
}

static void at_thread_exit(void *argument) {
    give(take(72), 72);
    give(argument, 400);
}

static void *work(void *argument) {
    for (int i = 0; i < KEYS; i++) {
        struct late *late = take(sizeof *late);
        *late = (struct late){i, i % 4}; /* libc calls them four times at most */
        must(pthread_setspecific(keys[i], late) == 0);
    }
    /* libc takes a list entry for each of these. */
    must(__cxa_thread_atexit_impl(at_thread_exit, take(400), &__dso_handle) == 0);
    must(__cxa_thread_atexit_impl(at_thread_exit, take(400), &__dso_handle) == 0);
    return argument;
}

int main(void) {
    for (int i = 0; i < KEYS; i++) must(pthread_key_create(&keys[i], at_key) == 0);
    for (int i = 0; i < 200; i++) {
        pthread_t thread;
        must(pthread_create(&thread, NULL, work, NULL) == 0);
        must(pthread_join(thread, NULL) == 0);
    }
    must(truth_allocations == truth_frees);
    print_truth();
    return 0;
}
