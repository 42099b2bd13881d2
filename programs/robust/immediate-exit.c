// flags: -O2 -g
/* _exit in the middle of the work: no exit handler, no destructor runs. */
#include "truth.h"

int main(void) {
    for (int i = 0; i < 1000; i++) take(10);
    print_truth();
    _exit(0);
}
