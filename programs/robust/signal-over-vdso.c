// flags: -O2 -g
/* A handler that allocates while the program is in the vDSO or any other instruction but malloc's: paths go through a
 * signal frame into code that is no file's. Exactly 500 handlers allocate. */
#define _GNU_SOURCE
#include "truth.h"
#include <signal.h>
#include <sys/time.h>
#include <time.h>

static volatile sig_atomic_t signals;

static void handle(int number) {
    (void)number;
    if (signals >= 500) return;
    give(take(168), 168);
    signals++;
}

int main(void) {
    struct sigaction action = {.sa_handler = handle};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval every = {{0, 200}, {0, 200}};
    setitimer(ITIMER_REAL, &every, NULL);
    struct timespec now;
    while (signals < 500) clock_gettime(CLOCK_MONOTONIC, &now);
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, NULL);
    say("path main … handle allocations=500 size=168\n");
    print_truth();
    return 0;
}
