"""A command that may write to some folders only, as in a container with a read-only root; Linux keeps it to that.

Its home is one that is not there. See https://docs.kernel.org/userspace-api/landlock.html
"""

import ctypes
import os
import sys
from collections.abc import Sequence
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF, _NO_NEW_PRIVS = 444, 445, 446, 38
# Write, remove, make of every kind, move to another folder, truncate: by the versions of Landlock that know them.
_WRITES = {1: 0b1_1111_1111_0010, 2: 1 << 13, 3: 1 << 14}
HOME = "/nonexistent"


def may_write_only(folders: Sequence[Path], *command: str) -> list[str]:
    """The command, held to these folders (and devices)."""
    if ctypes.CDLL(None).syscall(_CREATE_RULESET, None, 0, 1) < 1:
        from tests.conftest import missing  # the command itself loads nothing of ours

        missing("Landlock")
    return [sys.executable, str(Path(__file__)), *map(str, folders), "--", *command]


def _restrict(folders: Sequence[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    known = libc.syscall(_CREATE_RULESET, None, 0, 1)
    writes = sum(bits for version, bits in _WRITES.items() if version <= known)
    rules = libc.syscall(_CREATE_RULESET, ctypes.byref(ctypes.c_uint64(writes)), 8, 0)
    for folder in folders:
        beneath = writes.to_bytes(8, sys.byteorder) + os.open(folder, os.O_PATH).to_bytes(4, sys.byteorder)
        if libc.syscall(_ADD_RULE, rules, 1, beneath, 0) != 0:
            raise OSError(ctypes.get_errno(), f"no rule for {folder}")
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or libc.syscall(_RESTRICT_SELF, rules, 0) != 0:
        raise OSError(ctypes.get_errno(), "not restricted")


if __name__ == "__main__":
    apart = sys.argv.index("--")
    _restrict([*sys.argv[1:apart], "/dev"])
    os.environ["HOME"] = HOME
    os.execvp(sys.argv[apart + 1], sys.argv[apart + 1 :])
