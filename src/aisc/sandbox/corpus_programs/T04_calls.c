// attack: make the system calls that a contained program has no business with
// threat: T04 T15
// expect: COMPLETED
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <unistd.h>
static void tried(const char *name, long result) {
    if (result >= 0) printf("GAINED %s\n", name);
}
int main(void) {
    char zeros[256];
    memset(zeros, 0, sizeof zeros);
    puts("TRIED");
    tried("bpf", syscall(SYS_bpf, 0L, zeros, 64L));
    tried("perf_event_open", syscall(SYS_perf_event_open, zeros, 0L, -1L, -1L, 0L));
    tried("userfaultfd", syscall(SYS_userfaultfd, 0L));
    tried("io_uring_setup", syscall(SYS_io_uring_setup, 8L, zeros));
    tried("unshare user", syscall(SYS_unshare, (long)CLONE_NEWUSER));
    tried("unshare net", syscall(SYS_unshare, (long)CLONE_NEWNET));
    tried("mount", syscall(SYS_mount, "none", "/tmp", "tmpfs", 0L, ""));
    tried("pivot_root", syscall(SYS_pivot_root, "/tmp", "/tmp"));
    tried("kexec_load", syscall(SYS_kexec_load, 0L, 0L, 0L, 0L));
    tried("init_module", syscall(SYS_init_module, zeros, 0L, ""));
    tried("reboot", syscall(SYS_reboot, 0xfee1deadL, 672274793L, 0L, 0L));
    tried("swapoff", syscall(SYS_swapoff, "/swap"));
    tried("open_by_handle_at", syscall(SYS_open_by_handle_at, -100L, zeros, 0L));
    tried("settimeofday", syscall(SYS_settimeofday, zeros, 0L));
    tried("raw socket", syscall(SYS_socket, 2L, 3L, 1L));
    tried("packet socket", syscall(SYS_socket, 17L, 3L, 768L));
    tried("syslog", syscall(SYS_syslog, 3L, zeros, 64L));
    tried("setuid 0", syscall(SYS_setuid, 0L));
    tried("acct", syscall(SYS_acct, "/tmp/acct"));
    return 0;
}
