/* The program of the examples: it answers requests and keeps a line of log for each, for ever.
 *
 *     cc -g -O1 -o server server.c
 */
#include <stdio.h>
#include <stdlib.h>

struct entry {
    struct entry *next;
    char text[56];
};

static struct entry *entries;

/* The defect: nothing removes an entry. */
__attribute__((noinline)) static void remember(int request) {
    struct entry *entry = malloc(sizeof *entry);
    if (entry == NULL) return;
    snprintf(entry->text, sizeof entry->text, "request %d", request);
    entry->next = entries;
    entries = entry;
}

/* Healthy: what it takes, it gives back. */
__attribute__((noinline)) static int answer(int request) {
    char *text = malloc(64);
    char *longer = realloc(text, 512);
    int length = longer == NULL ? 0 : snprintf(longer, 512, "answer to %d", request);
    free(longer == NULL ? text : longer);
    return length;
}

int main(int argc, char **argv) {
    int requests = argc > 1 ? atoi(argv[1]) : 10000;
    for (int request = 0; request < requests; request++) {
        if (answer(request) > 0) remember(request);
    }
    return 0;
}
