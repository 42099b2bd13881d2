// flags: -O2 -g
/* A timer that interrupts malloc and the recorder at arbitrary instructions. malloc is not allowed in such a handler, but
 * mmap and munmap are harmless there and a recorder hooks them too. Ends when 300 signals came and 200,000 rounds are done. */
#define _GNU_SOURCE
#include "truth.h"
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

static volatile sig_atomic_t signals;

static void handle(int number) {
    (void)number;
    int error = errno;
    char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) _exit(2);
    page[0] = 1;
    if (munmap(page, 4096) != 0) _exit(3);
    errno = error;
    signals++;
}

int main(void) {
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval every = {{0, 200}, {0, 200}};
    setitimer(ITIMER_REAL, &every, NULL);
    void *slots[64] = {0};
    size_t sizes[64] = {0};
    for (unsigned i = 0; i < 200000 || signals < 300; i++) {
        unsigned slot = i % 64;
        if (slots[slot]) give(slots[slot], sizes[slot]);
        sizes[slot] = i % 4000;
        slots[slot] = take(sizes[slot]);
        if (i % 1000 == 0) give(take(1 << 20), 1 << 20);
    }
    struct itimerval never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &never, NULL);
    must(signals >= 300);
    say("signals at_least=300\n");
    print_truth();
    return 0;
}
