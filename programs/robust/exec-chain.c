// flags: -O2 -g -pthread
/* A program that executes itself five times under one process id, once from a second thread while the first allocates.
 * Each link prints a line; the last one is the truth of the process that exits. */
#include "truth.h"
#include <pthread.h>

static char *self;
static int links;

static void execute(void) {
    char text[16];
    snprintf(text, sizeof text, "%d", links - 1);
    execl(self, self, text, (char *)NULL);
    _exit(99);
}

static void *from_thread(void *argument) {
    execute();
    return argument;
}

int main(int count, char **words) {
    self = words[0];
    links = count > 1 ? atoi(words[1]) : 5;
    for (int i = 0; i < 1000; i++) give(take(44), 44);
    for (int i = 0; i < links; i++) take(55);
    print_truth();
    if (links == 3) {
        pthread_t thread;
        must(pthread_create(&thread, NULL, from_thread, NULL) == 0);
        for (;;) give(take(66), 66);
    }
    if (links > 0) execute();
    return 0;
}
