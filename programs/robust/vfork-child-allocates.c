// flags: -O2 -g
/* A vfork child that allocates in its parent's memory before it executes: its calls change the parent's heap and count
 * there. The block it leaves is freed by the parent. */
#define _GNU_SOURCE
#include "truth.h"
#include <sys/wait.h>

static void *volatile left_by_child;

int main(void) {
    for (volatile int i = 0; i < 100; i++) {
        pid_t pid = vfork();
        if (pid == 0) {
            give(take(180), 180);
            left_by_child = take(190);
            if (i % 2) execl("/bin/true", "true", (char *)NULL);
            _exit(0);
        }
        int status;
        must(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
        give(left_by_child, 190);
    }
    print_truth();
    return 0;
}
