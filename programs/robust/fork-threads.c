// flags: -O2 -g -pthread
/* fork while three threads allocate without pause. Of every three children one allocates and executes another program, one allocates
 * and ends by exit, one frees its parent's block, starts a thread of its own and ends by _exit. The line is the parent's alone. */
#include "truth.h"
#include <pthread.h>
#include <sys/wait.h>

static volatile int stop;

static void *allocate(void *argument) {
    while (!stop)
        for (size_t bytes = 16; bytes < 3000; bytes += 16) give(take(bytes), bytes);
    return argument;
}

static void *in_child(void *argument) {
    for (int i = 0; i < 100; i++) give(take(90), 90);
    return argument;
}

static void child(int kind, void *inherited) {
    void *blocks[200];
    for (int i = 0; i < 200; i++) blocks[i] = take((size_t)(i * 20));
    for (int i = 0; i < 200; i++) give(blocks[i], (size_t)(i * 20));
    if (kind == 0) {
        execl("/bin/true", "true", (char *)NULL);
        _exit(99);
    }
    if (kind == 1) exit(0);
    free(inherited);
    pthread_t thread;
    must(pthread_create(&thread, NULL, in_child, NULL) == 0 && pthread_join(thread, NULL) == 0);
    _exit(0);
}

int main(void) {
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) must(pthread_create(&threads[i], NULL, allocate, NULL) == 0);
    for (int i = 0; i < 60; i++) {
        void *block = take(777);
        pid_t pid = fork();
        must(pid >= 0);
        if (pid == 0) child(i % 3, block);
        int status;
        must(waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0);
        give(block, 777);
    }
    stop = 1;
    for (int i = 0; i < 3; i++) must(pthread_join(threads[i], NULL) == 0);
    print_truth();
    return 0;
}
