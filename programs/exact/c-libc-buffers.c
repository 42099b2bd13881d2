// flags: -O1 -g
/* libc's own buffers, whose sizes are libc's business: no truth line, another recorder is the truth. */
#define _GNU_SOURCE
#include "truth.h"
#include <dirent.h>
#include <regex.h>

int main(void) {
    char *text = NULL;
    must(asprintf(&text, "%d and %0500d", 1, 2) == 506);
    free(text);

    FILE *file = fopen("/proc/self/status", "r");
    must(file != NULL);
    char *line = NULL;
    size_t capacity = 0;
    must(getline(&line, &capacity, file) > 0);
    must(getdelim(&line, &capacity, '\t', file) > 0);
    fclose(file);
    free(line);

    size_t length;
    FILE *memory = open_memstream(&text, &length);
    for (int i = 0; i < 5000; i++) fprintf(memory, "%08d", i);
    fclose(memory);
    must(length == 40000);
    free(text);

    text = realpath("/proc/../proc", NULL);
    must(strcmp(text, "/proc") == 0);
    free(text);

    DIR *directory = opendir("/proc/self/net");
    if (directory) closedir(directory);

    regex_t expression;
    must(regcomp(&expression, "^(a|b)*c{1,5}$", REG_EXTENDED) == 0);
    must(regexec(&expression, "ababcc", 0, NULL, 0) == 0);
    regfree(&expression);

    must(asprintf(&text, "%0300d", 1) == 300); /* live at exit, and so is this open file */
    file = fopen("/proc/self/stat", "r");
    must(file != NULL && fgetc(file) != EOF);
    say("done\n");
    return 0;
}
