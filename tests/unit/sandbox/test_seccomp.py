"""The allow-list of system calls, in both of its forms."""

import io
import json
import tempfile

import pytest

from aisc.sandbox.seccomp import ALLOWED, CONDITIONAL, docker_profile, write_filter

FORBIDDEN = frozenset(
    {
        *("mount", "umount2", "pivot_root", "chroot", "move_mount", "fsopen"),
        *("open_tree", "setns", "unshare", "ptrace", "process_vm_readv", "process_vm_writev"),
        *("kcmp", "add_key", "keyctl", "request_key", "bpf", "perf_event_open"),
        *(
            "userfaultfd",
            "io_uring_setup",
            "io_uring_enter",
            "io_uring_register",
            "open_by_handle_at",
            "name_to_handle_at",
        ),
        *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot"),
        *("swapon", "swapoff", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime"),
        *("iopl", "ioperm", "acct", "quotactl", "syslog", "sethostname"),
        *("setdomainname", "fanotify_init", "lookup_dcookie", "nfsservctl", "vhangup", "personality"),
        *("clone", "clone3", "socket", "socketcall"),
    }
)
NEEDED = {"read", "write", "openat", "close", "mmap", "brk", "execve", "exit_group", "futex", "wait4", "statx", "rseq"}


def test_T04_dangerous_calls_are_not_on_the_list() -> None:
    assert not FORBIDDEN & set(ALLOWED)
    assert {rule.name for rule in CONDITIONAL} == {"clone", "socket", "personality"}


def test_ordinary_programs_have_what_they_need() -> None:
    assert set(ALLOWED) >= NEEDED
    assert len(set(ALLOWED)) == len(ALLOWED)


def test_T14_docker_gets_the_same_list_and_denies_by_default() -> None:
    profile = json.loads(docker_profile())
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    plain = [rule for rule in profile["syscalls"] if rule["action"] == "SCMP_ACT_ALLOW" and not rule["args"]]
    assert [tuple(rule["names"]) for rule in plain] == [ALLOWED]
    families = {rule["args"][0]["valueTwo"] for rule in profile["syscalls"] if rule["names"] == ["socket"]}
    assert families == {1, 2, 10, 16}  # local, IPv4, IPv6, routing: neither vsock (40) nor packets (17)


def test_the_filter_compiles_for_this_machine() -> None:
    pytest.importorskip("pyseccomp", reason="libseccomp missing: run 'sudo tests/services/install_sandbox.sh'")
    with tempfile.TemporaryFile() as file:
        write_filter(file)
        size = file.seek(0, io.SEEK_END)
    assert size > 1000
    assert size % 8 == 0  # one instruction has eight bytes
