// flags: -O2 -g
/* A handler that allocates, called at points where the program is not inside malloc. */
#include "truth.h"
#include <signal.h>

static void *kept;

static void handle(int number) {
    (void)number;
    give(take(150), 150);
    if (kept) give(kept, 250);
    kept = take(250);
}

int main(void) {
    signal(SIGUSR1, handle);
    for (int i = 0; i < 5000; i++) {
        void *block = take(60);
        raise(SIGUSR1);
        give(block, 60);
    }
    print_truth();
    return 0;
}
