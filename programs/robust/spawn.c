// flags: -O2 -g
/* posix_spawn, vfork with exec, system and popen, between the program's own blocks. */
#define _GNU_SOURCE
#include "truth.h"
#include <spawn.h>
#include <sys/wait.h>

extern char **environ;

static void ended_well(pid_t pid) {
    int status;
    must(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
}

int main(void) {
    char *words[] = {"true", NULL};
    for (volatile int i = 0; i < 20; i++) {
        void *block = take(400);
        pid_t pid;
        must(posix_spawn(&pid, "/bin/true", NULL, NULL, words, environ) == 0);
        ended_well(pid);
        must(posix_spawn(&pid, "/nonexistent", NULL, NULL, words, environ) != 0);
        pid = vfork();
        if (pid == 0) {
            execve("/bin/true", words, environ);
            _exit(99);
        }
        ended_well(pid);
        give(block, 400);
    }
    must(system("exit 0") == 0);
    FILE *pipe = popen("echo through a pipe", "r");
    char line[64];
    must(pipe && fgets(line, sizeof line, pipe) && strcmp(line, "through a pipe\n") == 0);
    must(pclose(pipe) == 0);
    print_truth();
    return 0;
}
