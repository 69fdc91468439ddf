"""The system calls that learner code may not make, as a filter for bubblewrap's --seccomp.

Without it, a fork bomb started by root would not be stopped: the kernel does not hold root to RLIMIT_NPROC. One process,
and its threads, also makes the limit on memory a limit on the whole submission.
"""

from __future__ import annotations

import platform
import struct

# Audit architecture, clone, and the calls that fail: processes, tracing, mounts, namespaces, keys, and kernel interfaces
# that have had holes. Numbers from the kernel's tables (arch/x86/entry/syscalls/syscall_64.tbl, asm-generic/unistd.h).
_TABLES: dict[str, tuple[int, int, dict[str, int]]] = {
    "x86_64": (
        0xC000003E,
        56,
        {
            "fork": 57, "vfork": 58, "ptrace": 101, "pivot_root": 155, "chroot": 161, "mount": 165, "umount2": 166,
            "add_key": 248, "request_key": 249, "keyctl": 250, "unshare": 272, "perf_event_open": 298,
            "open_by_handle_at": 304, "setns": 308, "process_vm_readv": 310, "process_vm_writev": 311, "bpf": 321,
            "userfaultfd": 323,
        },
    ),
    "aarch64": (
        0xC00000B7,
        220,
        {
            "umount2": 39, "mount": 40, "pivot_root": 41, "chroot": 51, "unshare": 97, "ptrace": 117, "add_key": 217,
            "request_key": 218, "keyctl": 219, "perf_event_open": 241, "open_by_handle_at": 265, "setns": 268,
            "process_vm_readv": 270, "process_vm_writev": 271, "bpf": 280, "userfaultfd": 282,
        },
    ),
}  # fmt: skip
_EVERYWHERE = {"io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430, "mount_setattr": 442}
_CLONE3, _CLONE_THREAD = 435, 0x10000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06  # BPF: ld, jeq, jge, jset, ret
_ALLOW, _KILL, _EPERM, _ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026


def seccomp_filter(machine: str | None = None) -> bytes | None:
    """Return the filter as BPF for this processor; None where its numbers are not known, and rlimits must do.

    Threads are allowed, new processes are not. clone3 is reported as missing, so that the C library falls back on clone,
    whose flags a filter can read.
    """
    table = _TABLES.get(machine or platform.machine())
    if table is None or struct.calcsize("P") != 8:
        return None
    architecture, clone, denied = table

    def step(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
        return struct.pack("=HBBI", code, if_true, if_false, value)

    program = [
        step(_LOAD, 4),  # seccomp_data.arch
        step(_EQUAL, architecture, 1, 0),
        step(_RETURN, _KILL),
        step(_LOAD, 0),  # seccomp_data.nr
        step(_AT_LEAST, 0x40000000, 0, 1),  # the x32 calls, under other numbers
        step(_RETURN, _KILL),
    ]
    for number in sorted({*denied.values(), *_EVERYWHERE.values()}):
        program += [step(_EQUAL, number, 0, 1), step(_RETURN, _EPERM)]
    program += [
        step(_EQUAL, _CLONE3, 0, 1),
        step(_RETURN, _ENOSYS),
        step(_EQUAL, clone, 0, 3),
        step(_LOAD, 16),  # the low half of the first argument: clone's flags
        step(_ANY_BIT, _CLONE_THREAD, 1, 0),
        step(_RETURN, _EPERM),
        step(_RETURN, _ALLOW),
    ]
    return b"".join(program)
