"""Becomes a process as systemd starts it: the socket on standard input is passed as descriptor 3,
and with --sandbox DIR it is confined as the unit says, with DIR to write to.

    python -m tests.unit_process [--sandbox DIR] PROGRAM ARGUMENT...

Of the unit's limits it puts into effect: no capabilities, no new privileges, a read-only file
system, the filter of system calls, address families and memory that is written and executed.
"""

import ctypes
import errno
import mmap
import os
import resource
import socket
import subprocess
import sys
from pathlib import Path

from tests.systemd import UNITS, directives

FIRST_SOCKET = 3
MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
CLONE_NEWNS = 0x20000
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
SCMP_ALLOW, SCMP_ERRNO = 0x7FFF0000, 0x00050000
SCMP_CMP_EQ, SCMP_CMP_MASKED_EQ = 4, 7

libc = ctypes.CDLL(None, use_errno=True)


class Comparison(ctypes.Structure):
    """libseccomp's condition on one argument of a call."""

    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operation", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def confine(folder: str) -> None:
    """Put the unit's limits into effect for what is executed next."""
    unit = directives(UNITS / "kafka-rest@.service", dict.fromkeys("itl", "x"))
    said = dict(unit)
    assert said["ProtectSystem"] == "strict"
    _read_only_but(folder)
    # Only systemd may raise the hard limit.
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    descriptors = min(int(said["LimitNOFILE"]), hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))
    assert said["CapabilityBoundingSet"] == said["AmbientCapabilities"] == ""
    for capability in range(int(Path("/proc/sys/kernel/cap_last_cap").read_text()) + 1):
        _checked(libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0))
    assert said["NoNewPrivileges"] == "yes"
    _checked(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    calls = _calls([value for name, value in unit if name == "SystemCallFilter"])
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    assert said["MemoryDenyWriteExecute"] == "yes"
    both, execute = mmap.PROT_WRITE | mmap.PROT_EXEC, mmap.PROT_EXEC
    refused: list[tuple[str, tuple[Comparison, ...]]] = [
        ("mmap", (Comparison(2, SCMP_CMP_MASKED_EQ, both, both),)),
        ("mprotect", (Comparison(2, SCMP_CMP_MASKED_EQ, execute, execute),)),
        ("pkey_mprotect", (Comparison(2, SCMP_CMP_MASKED_EQ, execute, execute),)),
    ]
    families = [getattr(socket, name) for name in said["RestrictAddressFamilies"].split()]
    refused += [
        ("socket", (Comparison(0, SCMP_CMP_EQ, family, 0),))
        for family in range(46)
        if family not in families
    ]
    # The kernel takes the strictest of several filters; the last one here refuses further ones.
    _load(seccomp, SCMP_ALLOW, SCMP_ERRNO | errno.EPERM, refused)
    _load(seccomp, SCMP_ERRNO | errno.EPERM, SCMP_ALLOW, [(call, ()) for call in calls])


def _read_only_but(folder: str) -> None:
    _checked(libc.unshare(CLONE_NEWNS))
    _mount("none", "/", MS_REC | MS_PRIVATE)
    _mount(folder, folder, MS_BIND)
    _mount("none", "/", MS_REMOUNT | MS_BIND | MS_RDONLY)
    # PrivateTmp has both; /tmp holds the tests' own sockets.
    _mount("tmpfs", "/var/tmp", 0, "tmpfs")


def _mount(source: str, target: str, flags: int, kind: str = "") -> None:
    words = (source.encode(), target.encode(), kind.encode())
    _checked(libc.mount(*words, ctypes.c_ulong(flags), None))


def _checked(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _calls(filters: list[str]) -> set[str]:
    """The calls that remain of lists such as `@system-service` and `~@privileged`."""
    calls: set[str] = set()
    for text in filters:
        named = {call for name in text.removeprefix("~").split() for call in _members(name)}
        calls = calls - named if text.startswith("~") else calls | named
    return calls


def _members(name: str) -> set[str]:
    if not name.startswith("@"):
        return {name}
    command = ["systemd-analyze", "syscall-filter", "--no-pager", name]
    listed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    lines = [line.strip() for line in listed.splitlines()[1:]]
    return {call for line in lines if line[:1] not in ("", "#") for call in _members(line)}


def _load(
    seccomp: ctypes.CDLL,
    otherwise: int,
    action: int,
    rules: list[tuple[str, tuple[Comparison, ...]]],
) -> None:
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(otherwise)))
    for call, conditions in rules:
        number = seccomp.seccomp_syscall_resolve_name(call.encode())
        if number >= 0:
            array = (Comparison * len(conditions))(*conditions)
            count = ctypes.c_uint(len(conditions))
            assert seccomp.seccomp_rule_add_array(context, action, number, count, array) == 0, call
    assert seccomp.seccomp_load(context) == 0


def main() -> None:
    """Do what the module says; does not return."""
    words = sys.argv[1:]
    if words[0] == "--sandbox":
        confine(words[1])
        words = words[2:]
    os.dup2(0, FIRST_SOCKET)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
    if "WATCHDOG_USEC" in os.environ:
        os.environ["WATCHDOG_PID"] = str(os.getpid())
    os.execv(words[0], words)


if __name__ == "__main__":
    main()
