// flags: -O2 -g
/* The trap for an unwinder that remembers the last stack: the innermost slot and every remembered slot outside it hold what they
 * held before, and yet the path is another.
 *
 *     main                             main
 *     call          same slot,         call
 *     outer_far     same address       outer_near
 *     variable        ┌─────────────── variable: its area covers the slot of the far one's return
 *     leaf            │ same slot,     leaf
 *                     │ same address
 *
 * `variable` has a frame of a size chosen at run time, so that `leaf` lies at one address under both. What the far frame
 * left on the stack is in the area that the near one never writes. The program checks that the trap is set in each round. */
#include "truth.h"
#include <alloca.h>
#include <stdint.h>

#define separate __attribute__((noinline, noclone))

enum { ROUNDS = 1000, ROOM = 256 };
static uintptr_t leaf_frame, far_slot, far_return, near_leaf_frame;
static int far, traps;

separate static void leaf(size_t bytes) {
    leaf_frame = (uintptr_t)__builtin_dwarf_cfa();
    if (!far && leaf_frame == near_leaf_frame) traps += *(uintptr_t *)far_slot == far_return;
    give(take(bytes), bytes);
}

separate static void variable(size_t room, size_t bytes) {
    if (far) {
        far_slot = (uintptr_t)__builtin_dwarf_cfa() - sizeof(uintptr_t);
        far_return = (uintptr_t)__builtin_return_address(0);
    }
    char *area = alloca(room);
    __asm__ volatile("" ::"r"(area) : "memory");
    leaf(bytes);
    __asm__ volatile("" ::"r"(area) : "memory");
}

separate static void outer_near(size_t room) {
    char pad[64];
    __asm__ volatile("" ::"r"(pad) : "memory");
    variable(room, 410);
    __asm__ volatile("" ::"r"(pad) : "memory");
}

separate static void outer_far(size_t room) {
    char pad[2048];
    __asm__ volatile("" ::"r"(pad) : "memory");
    variable(room, 420);
    __asm__ volatile("" ::"r"(pad) : "memory");
}

separate static void call(void (*outer)(size_t), size_t room) {
    outer(room);
    keep_frame();
}

int main(void) {
    size_t near_room = ROOM;
    for (int round = 0; round <= ROUNDS; round++) {
        far = 1;
        call(outer_far, ROOM);
        near_leaf_frame = leaf_frame;
        far = 0;
        call(outer_near, near_room);
        if (round == 0) near_room += leaf_frame - near_leaf_frame;
    }
    must(traps == ROUNDS);
    say("path main call outer_near variable leaf allocations=%d size=410\n", ROUNDS + 1);
    say("path main call outer_far variable leaf allocations=%d size=420\n", ROUNDS + 1);
    print_truth();
    return 0;
}
