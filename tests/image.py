"""The Dockerfile, read; and every step of it tried without an engine: python -m tests.image (as root, on Debian).

Each stage is a copy-on-write view of this machine in which the steps run as they are written; Debian's Python stands
in for the base image's. At the end the program runs as in a container: as its user, on a root that is read-only, with
one volume and a temporary folder, until its health check succeeds. make image runs it.
"""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template

ROOT = Path(__file__).parents[1]
WITHIN_S = 120.0


@dataclass(frozen=True)
class Step:
    """One instruction of a Dockerfile, its lines joined."""

    word: str
    text: str

    @property
    def words(self) -> list[str]:
        """What it says: the JSON form, or shell words."""
        text = re.sub(r"^(--\S+\s+)*CMD ", "", self.text) if self.word == "HEALTHCHECK" else self.text
        return list(json.loads(text)) if text.startswith("[") else shlex.split(text)


def steps(text: str) -> list[Step]:
    """The instructions of a Dockerfile."""
    lines = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", "", lines)
    return [Step(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


@dataclass
class Stage:
    """One stage while it is made: its root, and what holds for its next step."""

    root: Path
    folder: str = "/"
    user: str | None = None
    env: dict[str, str] = field(
        default_factory=lambda: {"PATH": "/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"}
    )

    def command(self, *words: str, **env: str) -> list[str]:
        """The words as they would run inside."""
        user = [f"--userspec={self.user}:{self.user}"] if self.user else []
        given = [f"{name}={value}" for name, value in (self.env | env).items()]
        inside = ["env", "-i", *given, "sh", "-c", f'cd {shlex.quote(self.folder)} && exec "$@"', "sh", *words]
        return ["chroot", *user, str(self.root), *inside]

    def path(self, inside: str) -> Path:
        """Where a path of the stage is."""
        return self.root / str(Path(self.folder) / inside).lstrip("/")


def run(*words: str) -> None:
    subprocess.run(words, check=True)


def begin(place: Path) -> Stage:
    """A new stage on top of this machine, with `python` as the base image has it."""
    for name in ("upper", "work", "root"):
        (place / name).mkdir(parents=True)
    options = f"lowerdir=/,upperdir={place}/upper,workdir={place}/work"
    run("mount", "-t", "overlay", "overlay", "-o", options, str(place / "root"))
    stage = Stage(place / "root")
    for name in ("proc", "dev"):
        run("mount", "--rbind", f"/{name}", str(stage.root / name))
    run("mount", "-t", "tmpfs", "tmpfs", str(stage.root / "tmp"))
    shutil.rmtree(stage.root / "usr/local", ignore_errors=True)
    (stage.root / "usr/local/bin").mkdir(parents=True)
    (stage.root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    return stage


def make(text: str, place: Path) -> Stage:
    """Do what the Dockerfile says; the last stage."""
    stages: dict[str, Stage] = {}
    packages = {name: value for name, value in os.environ.items() if name.upper().startswith(("PIP_", "HTTP", "SSL_"))}
    packages["PIP_QUIET"] = "1"
    for step in steps(text):
        begun_s = time.monotonic()
        if step.word == "FROM":
            name = step.words[2] if len(step.words) > 2 else "last"
            stages[name] = stage = begin(place / name)
        elif step.word == "RUN":
            run(*stage.command("sh", "-ec", step.text, **packages))
        elif step.word == "COPY":
            copy(step, stage, stages)
        elif step.word == "ENV":
            stage.env |= dict(Template(word).safe_substitute(stage.env).split("=", 1) for word in step.words)
        elif step.word == "WORKDIR":
            stage.folder = step.text
            stage.path(".").mkdir(parents=True, exist_ok=True)
        elif step.word == "USER":
            stage.user = step.text
        sys.stdout.write(f"{time.monotonic() - begun_s:6.1f} s  {step.word} {step.text[:100]}\n")
        sys.stdout.flush()
    return stage


def copy(step: Step, stage: Stage, stages: dict[str, Stage]) -> None:
    """COPY, from another stage or from the files that .dockerignore lets through."""
    *sources, target = [word for word in step.words if not word.startswith("--")]
    origin = next((stages[word.split("=")[1]] for word in step.words if word.startswith("--from=")), None)
    for source in sources:
        found = origin.path(source) if origin else ROOT / source
        if found.is_dir():
            left_out = shutil.ignore_patterns("__pycache__") if origin is None else None
            shutil.copytree(found, stage.path(target), symlinks=True, ignore=left_out, dirs_exist_ok=True)
        else:
            into = stage.path(target) / found.name if target.endswith("/") else stage.path(target)
            into.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(found, into)


def live(text: str, stage: Stage) -> int:
    """Start it on a read-only root with its volume, wait for its health check, end it; its exit code."""
    said = {step.word: step.words for step in steps(text)}
    volume = stage.path(said["VOLUME"][0])
    run("mount", "-t", "tmpfs", "-o", f"uid={volume.stat().st_uid},mode=0755", "tmpfs", str(volume))
    run("mount", "-o", "remount,ro", str(stage.root))
    alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    process = subprocess.Popen([*alone, *stage.command(*said["CMD"])])
    try:
        give_up_at_s = time.monotonic() + WITHIN_S
        check = ["nsenter", "--net", f"--target={process.pid}", *stage.command(*said["HEALTHCHECK"])]
        while subprocess.run(check, check=False, stderr=subprocess.DEVNULL).returncode != 0:
            assert process.poll() is None and time.monotonic() < give_up_at_s, "it does not become healthy"
            time.sleep(0.5)
        sys.stdout.write(f"healthy; the volume holds {sorted(path.name for path in volume.iterdir())}\n")
    finally:
        process.send_signal(signal.SIGTERM)
    code = process.wait(60)
    return 0 if code == -signal.SIGTERM else code or 1  # uvicorn ends itself by the signal that it got


def main(words: Sequence[str]) -> int:
    """Try the Dockerfile, in mounts of its own."""
    if "inside" not in words:
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "tests.image", "inside"],
            cwd=ROOT, check=False,
        ).returncode  # fmt: skip
    text = (ROOT / "Dockerfile").read_text()
    place = Path(tempfile.mkdtemp(prefix="shoptally-image-"))
    try:
        return live(text, make(text, place))
    finally:
        for mount in reversed(list(mounts_below(place))):
            subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(place, ignore_errors=True)


def mounts_below(place: Path) -> Iterator[str]:
    """What is mounted in a folder, in the order it was."""
    for line in Path("/proc/self/mounts").read_text().splitlines():
        if line.split()[1].startswith(str(place)):
            yield line.split()[1]


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
