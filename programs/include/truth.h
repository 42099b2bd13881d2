/* What a program knows of its own heap, so that a recorder can be judged without another tool.
 *
 * Every call that hands out or takes back memory is told to one of the functions below; print_truth() writes one line
 *
 *     truth allocations=A bytes=B frees=F freed_bytes=G live_blocks=L live_bytes=M
 *
 * in requested sizes, a realloc being one free and one allocation. It covers the program's own calls, not what libc
 * allocates for itself (a thread's vector, a stdio buffer). Nothing here allocates: output goes through write(2). */
#ifndef TRUTH_H
#define TRUTH_H

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned long long truth_allocations, truth_bytes, truth_frees, truth_freed_bytes;

static inline void truth_add(unsigned long long *counter, unsigned long long by) {
    __atomic_fetch_add(counter, by, __ATOMIC_RELAXED);
}

/* Text to standard output at once, without a stdio buffer. */
#define say(...)                                                                                                       \
    do {                                                                                                               \
        char say_text[512];                                                                                            \
        int say_length = snprintf(say_text, sizeof say_text, __VA_ARGS__);                                             \
        if (write(1, say_text, (size_t)say_length) != say_length) _exit(90);                                           \
    } while (0)

/* Ends the program with status 1 where `condition` does not hold. Kept in every build. */
#define must(condition)                                                                                                \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            say("failed %s:%d: %s\n", __FILE__, __LINE__, #condition);                                                 \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

/* A block of `bytes` was handed out. The compiler must think that its address is used, or it drops the call. */
static inline void *took(void *block, size_t bytes) {
    __asm__ volatile("" : "+r"(block) : : "memory");
    must(block != NULL);
    truth_add(&truth_allocations, 1);
    truth_add(&truth_bytes, bytes);
    return block;
}

/* A block of `bytes` is given back. */
static inline void gave(size_t bytes) {
    truth_add(&truth_frees, 1);
    truth_add(&truth_freed_bytes, bytes);
}

/* Counted malloc and free, in their caller's frame. */
static inline __attribute__((always_inline)) void *take(size_t bytes) { return took(malloc(bytes), bytes); }

static inline __attribute__((always_inline)) void give(void *block, size_t bytes) {
    gave(bytes);
    free(block);
}

static inline void print_truth(void) {
    say("truth allocations=%llu bytes=%llu frees=%llu freed_bytes=%llu live_blocks=%llu live_bytes=%llu\n",
        truth_allocations, truth_bytes, truth_frees, truth_freed_bytes, truth_allocations - truth_frees,
        truth_bytes - truth_freed_bytes);
}

/* Keeps a call from becoming a jump and a frame from being shared: put after a call whose frame must be on the stack. */
#define keep_frame() __asm__ volatile("" ::: "memory")

#endif
