// flags: -O2 -g -fno-optimize-sibling-calls -fno-builtin
/* Call paths that are easily got wrong, each told by the size of its blocks:
 *     path <outermost>…<innermost> allocations=A size=S
 * through libc (qsort's comparison), through a function pointer, from a recursion at each depth, from a call that is the last
 * instruction of its function (the return address belongs to the next one), and two calls on neighbouring lines. */
#include "truth.h"

#define separate __attribute__((noinline, noclone))

static int compared;
separate static int compare(const void *left, const void *right) {
    give(take(104), 104);
    compared++;
    return *(const int *)left - *(const int *)right;
}

separate static void through_libc(void) {
    int numbers[8] = {5, 3, 8, 1, 9, 2, 7, 4};
    qsort(numbers, 8, sizeof *numbers, compare);
    keep_frame();
    say("path main through_libc qsort compare allocations=%d size=104\n", compared);
}

separate static void made_by_pointer(void) {
    give(take(112), 112);
    keep_frame();
}

separate static void through_pointer(void (*volatile function)(void)) {
    for (int i = 0; i < 10; i++) function();
    say("path main through_pointer made_by_pointer allocations=10 size=112\n");
}

separate static void recurse(int depth) {
    give(take((size_t)(1000 + depth)), (size_t)(1000 + depth));
    if (depth < 20) recurse(depth + 1);
    keep_frame();
}

/* glibc's exit is noreturn: nothing follows the call, so its return address is the next function's first byte. */
static void last_words(void) {
    give(take(120), 120);
    say("path main ends_with_a_call exit last_words allocations=1 size=120\n");
    print_truth();
}

__attribute__((noreturn)) separate static void ends_with_a_call(void) {
    atexit(last_words);
    exit(0);
}

__attribute__((used)) separate static void follows_in_memory(void) { keep_frame(); }

separate static void neighbouring_lines(void) {
    char *first = take(128);
    char *second = take(136);
    keep_frame();
    give(first, 128);
    give(second, 136);
    say("path main neighbouring_lines allocations=1 size=128 line=%d\n", __LINE__ - 5);
    say("path main neighbouring_lines allocations=1 size=136 line=%d\n", __LINE__ - 5);
}

int main(void) {
    through_libc();
    through_pointer(made_by_pointer);
    recurse(0);
    for (int depth = 0; depth <= 20; depth++) say("path main recurse*%d allocations=1 size=%d\n", depth + 1, 1000 + depth);
    neighbouring_lines();
    ends_with_a_call();
}
