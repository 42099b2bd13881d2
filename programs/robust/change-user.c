// flags: -O2 -g -pthread
/* Becomes another user midway, for good, where it started as root: what was opened before must go on working, what the new user may
 * not open must not be needed. */
#define _GNU_SOURCE
#include "truth.h"
#include <grp.h>
#include <pthread.h>

static void *work(void *argument) {
    for (int i = 0; i < 20000; i++) give(take((size_t)(i % 2000)), (size_t)(i % 2000));
    return argument;
}

int main(void) {
    int changed = geteuid() == 0;
    work(NULL);
    if (changed) {
        must(setgroups(0, NULL) == 0 && setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
        must(setuid(0) != 0);
    }
    work(NULL);
    void *large = take(32 << 20);
    memset(large, 1, 32 << 20);
    give(large, 32 << 20);
    pthread_t thread;
    must(pthread_create(&thread, NULL, work, NULL) == 0 && pthread_join(thread, NULL) == 0);
    say("changed_user=%d\n", changed);
    print_truth();
    return 0;
}
