// flags: -O2 -g
/* The trap of `alloca-frames` set with frames that align the stack, as those with wide vectors do: callers at different
 * addresses, one aligned frame. One function is found through its frame pointer, the other, which has arguments on the stack,
 * through a saved copy of its caller's stack pointer (DRAP), whose rule is an expression.
 *
 * Where the stack starts is random, so the program shifts it until the trap closes. */
#include "truth.h"
#include <alloca.h>
#include <stdint.h>

#define separate __attribute__((noinline, noclone))
#define untouched(area) __asm__ volatile("" ::"r"(area) : "memory")

enum { ROUNDS = 200, ALIGNMENT = 1024 };
static uintptr_t far_leaf_frame, far_slot, far_return;
static int far, traps;

separate static void leaf(size_t bytes) {
    uintptr_t frame = (uintptr_t)__builtin_dwarf_cfa();
    if (far) far_leaf_frame = frame;
    else traps += frame == far_leaf_frame && *(uintptr_t *)far_slot == far_return;
    give(take(bytes), bytes);
}

/* Told by the caller, because asking for its own would change the frames below. */
#define returns_here(slot)                                                                                             \
    if (far) far_slot = (slot), far_return = *(uintptr_t *)(slot)

separate static long by_pointer(size_t bytes) {
    char wide[64] __attribute__((aligned(ALIGNMENT)));
    untouched(wide);
    returns_here((uintptr_t)__builtin_frame_address(0) + sizeof(uintptr_t));
    leaf(bytes);
    untouched(wide);
    return 0;
}

separate static long by_expression(size_t bytes, long b, long c, long d, long e, long f, long g, long h) {
    char wide[64] __attribute__((aligned(ALIGNMENT)));
    untouched(wide);
    returns_here((uintptr_t)__builtin_dwarf_cfa() - sizeof(uintptr_t));
    leaf(bytes);
    untouched(wide);
    return b + c + d + e + f + g + h;
}

#define OUTER(name, room, bytes)                                                                                       \
    separate static void name(int expression) {                                                                        \
        char pad[room];                                                                                                \
        untouched(pad);                                                                                                \
        if (expression) by_expression(bytes + 1, 1, 2, 3, 4, 5, 6, 7);                                                 \
        else by_pointer(bytes);                                                                                        \
        untouched(pad);                                                                                                \
    }

OUTER(outer_near, 64, 430)
OUTER(outer_far, 192, 440)

separate static void call(void (*outer)(int), int expression, size_t shift) {
    char *area = alloca(shift);
    untouched(area);
    outer(expression);
    untouched(area);
}

int main(void) {
    int calls = 0;
    for (int expression = 0; expression < 2; expression++) {
        int before = traps;
        for (int round = 0; round < ROUNDS; round++) {
            for (size_t shift = 0; shift < ALIGNMENT; shift += 16, calls++) {
                far = 1;
                call(outer_far, expression, shift);
                far = 0;
                call(outer_near, expression, shift);
            }
        }
        must(traps - before >= ROUNDS);
    }
    for (int expression = 0; expression < 2; expression++) {
        const char *way = expression ? "by_expression" : "by_pointer";
        say("path main call outer_near %s leaf allocations=%d size=%d\n", way, calls / 2, 430 + expression);
        say("path main call outer_far %s leaf allocations=%d size=%d\n", way, calls / 2, 440 + expression);
    }
    print_truth();
    return 0;
}
