// flags: -O2 -g
/* abort in the middle of the work: ends by SIGABRT, on purpose. */
#include "truth.h"

int main(void) {
    for (int i = 0; i < 1000; i++) take(10);
    print_truth();
    abort();
}
