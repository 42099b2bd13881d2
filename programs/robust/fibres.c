// flags: -O2 -g
/* Fibres switched by hand-written assembly without any unwind information: a path ends cleanly at a fibre's entry, however full of
 * plausible addresses the memory above it is. The stacks are filled with the address of a function that never allocates. */
#include "truth.h"
#include <stdint.h>
#include <sys/mman.h>

#if !defined(__x86_64__)
int main(void) {
    say("skipped: written for x86-64\n");
    return 0;
}
#else
enum { STACK = 64 << 10, FIBRES = 6 };

/* fibre_switch(&save, to): saves the callee's registers on this stack and takes up those on the other. */
void fibre_switch(void **save, void *to);
void fibre_entry(void);
__asm__(".text\n"
        ".globl fibre_switch\n.type fibre_switch, @function\nfibre_switch:\n"
        "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
        "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
        "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"
        ".size fibre_switch, .-fibre_switch\n"
        ".globl fibre_entry\n.type fibre_entry, @function\nfibre_entry:\n"
        "mov %r12, %rdi\ncall *%r13\nud2\n"
        ".size fibre_entry, .-fibre_entry\n");

static void *scheduler, *fibres[FIBRES];
static int current;

__attribute__((noinline, used)) static void never_allocates(void) { keep_frame(); }

__attribute__((noinline)) static void yield(void) {
    fibre_switch(&fibres[current], scheduler);
    keep_frame();
}

__attribute__((noinline)) static void inner(size_t bytes) {
    void *block = take(bytes);
    yield();
    give(block, bytes);
    keep_frame();
}

static void body(void *argument) {
    for (;;) inner((size_t)(uintptr_t)argument);
}

static void *new_fibre(uintptr_t *stack, size_t bytes) {
    size_t words = STACK / sizeof *stack;
    for (size_t i = 0; i < words; i++) stack[i] = (uintptr_t)never_allocates + 4;
    uintptr_t *top = stack + words - 16; /* the entry finds it aligned to 16 */
    *--top = (uintptr_t)fibre_entry;
    *--top = (uintptr_t)(stack + words - 8); /* rbp: points into the lies above */
    *--top = 0;                              /* rbx */
    *--top = bytes;                          /* r12: the argument */
    *--top = (uintptr_t)body;                /* r13 */
    *--top = 0, *--top = 0;                  /* r14, r15 */
    return top;
}

int main(void) {
    for (int round = 0; round < 100; round++) {
        uintptr_t *stacks[FIBRES];
        for (int i = 0; i < FIBRES; i++) {
            stacks[i] = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            must(stacks[i] != MAP_FAILED);
            fibres[i] = new_fibre(stacks[i], (size_t)(360 + i));
        }
        for (int turn = 0; turn < 20; turn++) {
            for (current = 0; current < FIBRES; current++) {
                give(take(370), 370);
                fibre_switch(&scheduler, fibres[current]);
            }
        }
        for (int i = 0; i < FIBRES; i++) must(munmap(stacks[i], STACK) == 0); /* each leaves its last block */
    }
    for (int i = 0; i < FIBRES; i++) say("path body inner allocations=2000 size=%d\n", 360 + i);
    print_truth();
    return 0;
}
#endif
