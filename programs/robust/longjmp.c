// flags: -O2 -g
/* longjmp over frames that allocated, thrice a round, and blocks from the frames that follow on the same stack addresses. */
#include "truth.h"
#include <setjmp.h>

static jmp_buf back;
static void *left[64];
static int held;

__attribute__((noinline)) static void down(int depth, int jump) {
    left[held++] = take((size_t)(100 + depth));
    if (depth < 20) down(depth + 1, jump);
    else if (jump) longjmp(back, 1);
    keep_frame();
}

__attribute__((noinline)) static void after(int depth) {
    give(take((size_t)(500 + depth)), (size_t)(500 + depth));
    if (depth < 20) after(depth + 1);
    keep_frame();
}

int main(void) {
    for (volatile int round = 0; round < 3000; round++) {
        held = 0;
        if (setjmp(back) == 0) down(0, round % 3 != 0);
        after(0);
        for (int i = 0; i < held; i++) give(left[i], (size_t)(100 + i));
    }
    must(truth_allocations == truth_frees);
    print_truth();
    return 0;
}
