/* The two libraries of the dlopen storm: the same code at the same offsets, under names of the same length, so that an
 * address kept from one is a valid and wrong address in the other. Which one made a block is told by its size alone. */
#include <stdlib.h>

#define PLUGIN(name, bytes)                                                                                            \
    __attribute__((noinline)) static void *name##_inner(void) {                                                        \
        void *block = malloc(bytes);                                                                                   \
        __asm__ volatile("" ::"r"(block) : "memory");                                                                  \
        return block;                                                                                                  \
    }                                                                                                                  \
    void name##_fill(void **blocks, int count) {                                                                       \
        for (int i = 0; i < count; i++) blocks[i] = name##_inner();                                                    \
        __asm__ volatile("" ::: "memory");                                                                             \
    }
