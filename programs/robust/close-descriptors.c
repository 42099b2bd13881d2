// flags: -O2 -g -pthread
/* Closes every descriptor, as daemons do, then opens files of its own under the freed numbers, which nobody else may write to. The
 * line is printed first and counts what follows; at the end standard output is closed too. */
#define _GNU_SOURCE
#include "truth.h"
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

enum { FILES = 20 };

static void *work(void *argument) {
    for (int i = 0; i < 20000; i++) give(take((size_t)(i % 2000)), (size_t)(i % 2000));
    return argument;
}

static void thread(void) {
    pthread_t thread;
    must(pthread_create(&thread, NULL, work, NULL) == 0 && pthread_join(thread, NULL) == 0);
}

int main(void) {
    int files[FILES];
    work(NULL);
    must(close_range(3, ~0u, 0) == 0);
    for (int i = 0; i < FILES; i++) {
        files[i] = memfd_create("mine", 0);
        must(files[i] == 3 + i && write(files[i], "mine", 4) == 4);
    }
    work(NULL);
    thread();
    for (int i = 0; i < FILES; i++) {
        char text[8];
        must(pread(files[i], text, sizeof text, 0) == 4 && memcmp(text, "mine", 4) == 0);
    }
    take(64); /* live at exit */
    truth_add(&truth_allocations, 2), truth_add(&truth_frees, 1); /* what follows */
    truth_add(&truth_bytes, 30), truth_add(&truth_freed_bytes, 10);
    print_truth();
    if (close_range(0, ~0u, 0) != 0) return 1;
    void *volatile block = malloc(10);
    free(block);
    block = malloc(20);
    return block == NULL;
}
