// flags: -O2 -g
/* Handlers that allocate on an alternate stack of 16 KiB, nested, and one that leaves by siglongjmp. */
#define _GNU_SOURCE
#include "truth.h"
#include <setjmp.h>
#include <signal.h>

static char stack[16 << 10];
static sigjmp_buf back;

static void inner(int number) {
    (void)number;
    give(take(150), 150);
}

static void outer(int number) {
    (void)number;
    void *block = take(160);
    raise(SIGUSR2);
    give(block, 160);
}

static void leaves(int number) {
    (void)number;
    give(take(170), 170);
    siglongjmp(back, 1);
}

static void on(int number, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    must(sigaction(number, &action, NULL) == 0);
}

int main(void) {
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    must(sigaltstack(&alternate, NULL) == 0);
    on(SIGUSR1, outer);
    on(SIGUSR2, inner);
    on(SIGALRM, leaves);
    for (int i = 0; i < 2000; i++) {
        void *volatile block = take(60);
        raise(SIGUSR1);
        if (sigsetjmp(back, 1) == 0) raise(SIGALRM);
        give(block, 60);
    }
    must(truth_allocations == truth_frees);
    print_truth();
    return 0;
}
