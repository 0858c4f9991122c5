"""`python -m core` in a process of its own that starts at once: forked from one that has the program loaded."""

import gc
import json
import os
import subprocess
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Ended:
    """A command that ended: its exit code, and what it wrote to both streams."""

    code: int
    out: str
    err: str


@dataclass
class Forks:
    """Runs commands, one at a time; `folder` takes what they write."""

    parent: subprocess.Popen[str]
    folder: Path

    def run(self, *words: str, env: Mapping[str, str]) -> Ended:
        """Run a command with these environment variables and no others."""
        out, err = self.folder / "out", self.folder / "err"
        message = {"words": words, "env": dict(env), "out": str(out), "err": str(err)}
        assert self.parent.stdin is not None and self.parent.stdout is not None
        self.parent.stdin.write(json.dumps(message) + "\n")
        self.parent.stdin.flush()
        return Ended(int(self.parent.stdout.readline()), out.read_text(), err.read_text())


@contextmanager
def forks(folder: Path) -> Iterator[Forks]:
    """The process that commands are forked from; it loads the program with its first line."""
    words = [sys.executable, "-m", "tests.forked"]
    parent = subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Forks(parent, folder)
    finally:
        parent.communicate()


def _serve() -> None:
    from core.__main__ import main

    import_module("core.web.startup")  # some commands load it only when they begin
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        message = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(main, message)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
        sys.stdout.flush()


def _become(main: Any, message: dict[str, Any]) -> None:
    """End as Python ends a program: an exit code, or a traceback and 1."""
    code = 1
    try:
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        for stream, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(message[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        os.environ.clear()
        os.environ.update(message["env"])
        code = main(message["words"])
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _serve()
