// flags: -O2 -g -pthread
/* Four threads that allocate and free until they are killed, each writing down before and after every call what it has
 * counted, in a shared mapping that outlives it. `killed FILE [ROUNDS]`; without ROUNDS it goes on for ever. It prints `ready`
 * once all threads run.
 *
 * FILE holds for each thread eight native 64-bit words, 64 bytes:
 *
 *     before: allocations, bytes, frees, freed bytes      counted just before the call
 *     after:  allocations, bytes, frees, freed bytes      counted just after it
 *
 * so that, of the blocks made by `work`, after <= recorded <= before for each sum over threads. A realloc is one free of the old
 * size and one allocation of the new. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { THREADS = 4, SLOTS = 256 };
enum { ALLOCATIONS, BYTES, FREES, FREED_BYTES };

struct counts {
    volatile uint64_t before[4], after[4];
};

static struct counts *file;
static long rounds;
static pthread_barrier_t running;

/* One writer a word; the order of the stores is the order in which a dead process leaves them. */
static void add(volatile uint64_t *counts, int what, size_t bytes) {
    __atomic_store_n(&counts[what], counts[what] + 1, __ATOMIC_RELEASE);
    __atomic_store_n(&counts[what + 1], counts[what + 1] + bytes, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

__attribute__((noinline)) static void *work(void *argument) {
    struct counts *own = argument;
    void *blocks[SLOTS] = {0};
    size_t sizes[SLOTS] = {0};
    uint64_t random = 88172645463325252u + (uint64_t)(own - file);
    pthread_barrier_wait(&running);
    for (long round = 0; rounds < 0 || round < rounds; round++) {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        size_t slot = random % SLOTS, bytes = 1 + (random >> 20) % 2000;
        if (!blocks[slot]) {
            add(own->before, ALLOCATIONS, bytes);
            blocks[slot] = malloc(bytes);
            if (!blocks[slot]) abort();
            add(own->after, ALLOCATIONS, bytes);
            sizes[slot] = bytes;
        } else if (random >> 62) {
            add(own->before, FREES, sizes[slot]);
            free(blocks[slot]);
            add(own->after, FREES, sizes[slot]);
            blocks[slot] = NULL;
        } else {
            add(own->before, FREES, sizes[slot]);
            add(own->before, ALLOCATIONS, bytes);
            blocks[slot] = realloc(blocks[slot], bytes);
            if (!blocks[slot]) abort();
            add(own->after, FREES, sizes[slot]);
            add(own->after, ALLOCATIONS, bytes);
            sizes[slot] = bytes;
        }
    }
    return NULL;
}

int main(int count, char **words) {
    if (count < 2) return 2;
    rounds = count > 2 ? atol(words[2]) : -1;
    int descriptor = open(words[1], O_RDWR | O_CREAT | O_TRUNC, 0600);
    if (descriptor < 0 || ftruncate(descriptor, THREADS * sizeof *file) != 0) return 1;
    file = mmap(NULL, THREADS * sizeof *file, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (file == MAP_FAILED) return 1;
    close(descriptor);

    pthread_t threads[THREADS];
    pthread_barrier_init(&running, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, work, &file[i]) != 0) return 1;
    }
    pthread_barrier_wait(&running);
    if (write(1, "ready\n", 6) != 6) return 1;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    return 0;
}
