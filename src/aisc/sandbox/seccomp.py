"""Which system calls a participant's program may make: one allow-list for bubblewrap and for Docker.

What is missing from the list answers "no such call", which programs take for an older kernel and work around. Missing
on purpose: mounts, namespaces, tracing, keys (shared by all runs of one user, T14), kernel modules, BPF, performance
counters, io_uring, user faults, file handles, the clock; and sockets of other families than local, IP and routing, so
that no vsock reaches the hypervisor (T12, T14).
"""

import errno
import json
import socket
from dataclasses import dataclass
from typing import IO, Final

from aisc.errors import UsageError

_FILES = """
access chdir chmod chown close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64
fallocate fchdir fchmod fchmodat fchmodat2 fchown fchownat fcntl fdatasync fgetxattr flistxattr flock fremovexattr
fsetxattr fstat fstatfs fsync ftruncate futimesat getcwd getdents getdents64 getxattr inotify_add_watch inotify_init
inotify_init1 inotify_rm_watch ioctl lchown lgetxattr link linkat listxattr llistxattr lremovexattr lseek lsetxattr
lstat mkdir mkdirat mknod mknodat newfstatat open openat openat2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read
readahead readlink readlinkat readv removexattr rename renameat renameat2 rmdir sendfile setxattr splice stat statfs
statx symlink symlinkat sync sync_file_range syncfs tee truncate umask unlink unlinkat utime utimensat utimes vmsplice
write writev
"""
_MEMORY = """
brk madvise membarrier memfd_create mincore mlock mlock2 mlockall mmap mprotect mremap msync munlock munlockall munmap
pkey_alloc pkey_free pkey_mprotect rseq
"""
_PROCESSES = """
arch_prctl capget capset execve execveat exit exit_group fork get_robust_list get_thread_area getcpu getegid geteuid
getgid getgroups getpgid getpgrp getpid getppid getpriority getresgid getresuid getrlimit getrusage getsid gettid
getuid ioprio_get ioprio_set kill pidfd_open pidfd_send_signal prctl prlimit64 restart_syscall sched_get_priority_max
sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval
sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp set_robust_list set_thread_area
set_tid_address setfsgid setfsuid setgid setgroups setpgid setpriority setregid setresgid setresuid setreuid setrlimit
setsid setuid sysinfo tgkill tkill times uname vfork wait4 waitid
"""
_SIGNALS_AND_TIME = """
alarm clock_getres clock_gettime clock_nanosleep epoll_create epoll_create1 epoll_ctl epoll_pwait epoll_pwait2
epoll_wait eventfd eventfd2 futex futex_waitv getitimer getrandom gettimeofday nanosleep pause pipe pipe2 poll ppoll
pselect6 rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait
rt_tgsigqueueinfo select setitimer sigaltstack signalfd signalfd4 time timer_create timer_delete timer_getoverrun
timer_gettime timer_settime timerfd_create timerfd_gettime timerfd_settime
"""
_TALK = """
accept accept4 bind connect getpeername getsockname getsockopt listen mq_getsetattr mq_notify mq_open mq_timedreceive
mq_timedsend mq_unlink msgctl msgget msgrcv msgsnd recvfrom recvmmsg recvmsg semctl semget semop semtimedop sendmmsg
sendmsg sendto setsockopt shmat shmctl shmdt shmget shutdown socketpair
"""
ALLOWED: Final = tuple(sorted((_FILES + _MEMORY + _PROCESSES + _SIGNALS_AND_TIME + _TALK).split()))


@dataclass(frozen=True, slots=True)
class Conditional:
    """A call that is allowed if one of its arguments, masked, has a certain value."""

    name: str
    argument: int
    mask: int
    value: int


_ALL_BITS: Final = (1 << 32) - 1
_NAMESPACES: Final = 0x7E02_0000  # every CLONE_NEW… flag
CONDITIONAL: Final = (
    Conditional("clone", 0, _NAMESPACES, 0),
    *(Conditional("socket", 0, _ALL_BITS, family) for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6)),
    Conditional("socket", 0, _ALL_BITS, 16),  # routing tables, which name resolvers read
    *(Conditional("personality", 0, _ALL_BITS, persona) for persona in (0x0, 0x4_0000, _ALL_BITS)),
)


def docker_profile() -> str:
    """Give the list as a Docker seccomp profile (JSON text)."""
    rules: list[dict[str, object]] = [{"names": list(ALLOWED), "action": "SCMP_ACT_ALLOW", "args": []}]
    for rule in CONDITIONAL:
        test = {"index": rule.argument, "value": rule.mask, "valueTwo": rule.value, "op": "SCMP_CMP_MASKED_EQ"}
        rules.append({"names": [rule.name], "action": "SCMP_ACT_ALLOW", "args": [test]})
    # Without this rule glibc would take the default answer for "forbidden" and not fall back from clone3 to clone.
    rules.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": errno.ENOSYS, "args": []})
    profile = {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": errno.ENOSYS, "syscalls": rules}
    return json.dumps(profile)


def write_filter(file: IO[bytes]) -> None:
    """Compile the list for this machine's processor and write the filter as bubblewrap reads it.

    Raises:
        UsageError: ``SANDBOX_SECCOMP``: libseccomp or its Python binding is not installed.
    """
    try:
        import pyseccomp
    except (ImportError, RuntimeError, OSError) as error:
        raise UsageError(
            "SANDBOX_SECCOMP", f"The seccomp library cannot be loaded ({error}).", "Install libseccomp2 and pyseccomp."
        ) from error
    chosen = pyseccomp.SyscallFilter(defaction=pyseccomp.ERRNO(errno.ENOSYS))
    for name in ALLOWED:
        # An older library does not know the newest calls; one that stays forbidden is safe.
        if pyseccomp.resolve_syscall(pyseccomp.system_arch(), name) != _UNKNOWN:
            chosen.add_rule(pyseccomp.ALLOW, name)
    for rule in CONDITIONAL:
        test = pyseccomp.Arg(rule.argument, pyseccomp.MASKED_EQ, rule.mask, rule.value)
        chosen.add_rule(pyseccomp.ALLOW, rule.name, test)
    chosen.export_bpf(file)


_UNKNOWN: Final = -1
