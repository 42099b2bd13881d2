// flags: -O2 -g
/* Forbids itself (seccomp) all but what a heap and an exit need: `few-system-calls` fails other calls with EPERM,
 * `few-system-calls kill` is killed by them (SIGSYS). */
#define _GNU_SOURCE
#include "truth.h"
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define ALLOW(number)                                                                                                  \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

int main(int count, char **words) {
    unsigned otherwise =
        count > 1 && strcmp(words[1], "kill") == 0 ? SECCOMP_RET_KILL_PROCESS : SECCOMP_RET_ERRNO | EPERM;
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
#ifdef SYS_brk
        ALLOW(SYS_brk),
#endif
        ALLOW(SYS_mmap),
        ALLOW(SYS_munmap),
        ALLOW(SYS_mremap),
        ALLOW(SYS_mprotect),
        ALLOW(SYS_madvise),
        ALLOW(SYS_futex),
        ALLOW(SYS_write),
        ALLOW(SYS_exit_group),
        BPF_STMT(BPF_RET | BPF_K, otherwise),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    for (int i = 0; i < 1000; i++) give(take((size_t)i), (size_t)i);
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
    must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);

    static void *blocks[20000];
    for (int i = 0; i < 20000; i++) blocks[i] = take((size_t)(i % 5000));
    for (int i = 0; i < 20000; i++) give(blocks[i], (size_t)(i % 5000));
    give(take(40 << 20), 40 << 20);
    print_truth();
    return 0;
}
