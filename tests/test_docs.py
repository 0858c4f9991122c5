"""What the documents say is so: every command exists, every list is whole, every pin is what is installed."""

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib.metadata import distribution, packages_distributions, version
from pathlib import Path

import pytest
from dotenv import dotenv_values
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from streamlit import config as streamlit_config

from core.__main__ import COMMANDS, parser
from core.analytics.metrics import METRICS
from tests.conftest import missing

HERE = Path(__file__).parents[1]
README = (HERE / "README.md").read_text()
MAKEFILE = (HERE / "Makefile").read_text()
DOCKERFILE = (HERE / "Dockerfile").read_text()
COMPOSE = (HERE / "compose.yaml").read_text()
DOCUMENTS = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")


def blocks(language: str) -> list[str]:
    """The lines of README's fenced blocks in a language."""
    fenced = README.split("\n```")[1::2]
    return [line for block in fenced for line in block.splitlines()[1:] if block.splitlines()[0] == language and line]


SHELL = [*blocks("sh"), *re.findall(r"`((?:make|cp|python|\.venv/bin/python|python -m core) [^`]+)`", README)]


def problem_of(line: str) -> str | None:
    """What is wrong with a command line of README; None if it would be understood."""
    words = shlex.split(line)
    if words[0] == "make":
        targets = [word for word in words[1:] if "=" not in word]
        absent = [word for word in targets if not re.search(rf"^{word}:", MAKEFILE, re.MULTILINE)]
        return f"no target {absent}" if absent or not targets else None
    if words[0] in ("python", "python3", ".venv/bin/python") and words[1] == "-m":
        return problem_of_module(words[2], words[3:])
    if words[0] == "cp":
        return None if (HERE / words[1]).exists() else f"no {words[1]}"
    if words[0] == "docker":
        return problem_of_docker(words[1:])
    return "nobody checks this kind of command"


def problem_of_module(module: str, words: list[str]) -> str | None:
    if module == "core":
        try:
            parser().parse_args(words)
        except SystemExit:
            return "the command line does not understand it"
    elif module == "pip":
        if words[:2] != ["install", "-r"] or not (HERE / words[2]).exists():
            return f"no {words}"
    elif module == "streamlit":
        options = {f"--{name}" for name in streamlit_config.get_config_options()}
        if words[:2] != ["run", "app.py"] or set(words[2::2]) - options:
            return f"Streamlit does not know {words}"
    elif module not in ("venv", "pytest"):
        return f"no module {module}"
    return None


def problem_of_docker(words: list[str]) -> str | None:
    if words[0] == "build":
        return None if words[-1] == "." else "no folder"
    if words[:3] == ["compose", "--env-file", "deploy/compose.env"]:
        if words[3] == "exec":
            return problem_of(shlex.join(words[5:])) if f"\n  {words[4]}:" in COMPOSE else f"no service {words[4]}"
        return None if words[3:] == ["up", "--detach", "--build"] else f"nobody tried {words[3:]}"
    if words[0] != "run":
        return f"nobody checks {words[0]}"
    published, mounted = words[words.index("-p") + 1], words[words.index("-v") + 1]
    if f"EXPOSE {published.split(':')[1]}" not in DOCKERFILE:
        return f"{published} is not exposed"
    return None if f"VOLUME {mounted.split(':')[1]}\n" in DOCKERFILE else f"{mounted} is no volume"


@pytest.mark.parametrize("line", SHELL)
def test_every_command_of_the_readme_exists(line):
    assert problem_of(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "make lunch",
        "make",
        ".venv/bin/python -m core sync",
        ".venv/bin/python -m core shop add --domain a.myshopify.com --token shpat_1",
        ".venv/bin/python -m pip install -r wishes.txt",
        ".venv/bin/python -m streamlit run app.py --server.harbour 8501",
        "docker run -p 8501:80 -v shoptally:/app/data shoptally",
        "docker run -p 8501:8501 -v shoptally:/data shoptally",
        "docker compose up",
        "docker compose --env-file deploy/compose.env exec app3 python -m core doctor",
        "docker compose --env-file deploy/compose.env exec app1 python -m core undo",
        "curl example.com",
    ],
)
def test_a_command_that_does_not_exist_is_noticed(line, capsys):
    assert problem_of(line) is not None


def test_the_readme_shows_every_command_but_none_is_told_twice():
    told = [" ".join(shlex.split(line)[3:]) for line in blocks("sh") if " -m core " in line]
    for command in COMMANDS:
        assert any(f"{words} ".startswith(f"{command.words} ") for words in told), command.words
    assert len(told) == len(set(told))


def test_the_readme_explains_every_metric_in_its_own_words():
    rows = re.findall(r"^\| ([^`|]+) \| (.+) \|$", README.split("## What the numbers mean")[1], re.MULTILINE)
    assert rows[1:] == [(metric.label, metric.definition) for metric in METRICS]


def test_the_readme_lists_every_setting():
    table = README.split("## Settings")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == list(dotenv_values(HERE / ".env.example"))


def test_everything_on_the_floor_plan_exists_and_no_room_is_missing():
    plan = {line.split()[0] for line in blocks("") if not line.startswith(" ")}
    assert [place for place in plan if not (HERE / place).exists()] == []
    rooms = {f"core/{path.parent.name}/" for path in (HERE / "core").glob("*/__init__.py")}
    files = {f"core/{path.name}" for path in (HERE / "core").glob("*.py")} - {"core/__init__.py"}
    assert {place for place in plan if place.startswith("core/")} == rooms | files


@pytest.mark.parametrize("document", DOCUMENTS)
def test_links_to_files_lead_somewhere(document):
    links = re.findall(r"\]\((?!https?://)([^)#]+)", (HERE / document).read_text())
    assert [link for link in links if not (HERE / link).exists()] == []


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "SECURITY.md"])
def test_files_that_are_named_exist(document):
    named = set(re.findall(r"`((?:core|pages|tests|deploy|\.ci)/[^`*]+)`", (HERE / document).read_text()))
    assert len(named) > 10
    assert [name for name in named if "NAME" not in name and not (HERE / name).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documents_have_no_pictograms(document):
    assert re.findall(r"[^\x00-\u024f\u2010-\u203a\u20ac]", (HERE / document).read_text()) == []


def pins(name: str) -> dict[str, str]:
    """Version by canonical package name, of one requirements file without the files it includes."""
    lines = [line.split("#")[0].strip() for line in (HERE / name).read_text().splitlines()]
    split = [line.split("==") for line in lines if line and not line.startswith("-r ")]
    return {canonicalize_name(package): pinned for package, pinned in split}


def named_first(name: str) -> set[str]:
    """The packages that a requirements file gives a reason for."""
    found = re.findall(r"^([\w.-]+)==\S+ +# \w", (HERE / name).read_text(), re.MULTILINE)
    return {str(canonicalize_name(package)) for package in found}


def imported_packages(*places: str) -> set[str]:
    """The distributions that files of ours import."""
    files = [
        file for place in places for file in ([HERE / place] if place.endswith(".py") else (HERE / place).rglob("*.py"))
    ]
    names = set()
    for node in (node for file in files for node in ast.walk(ast.parse(file.read_text()))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    known = packages_distributions()
    return {str(canonicalize_name(known[name][0])) for name in names - set(sys.stdlib_module_names) if name in known}


RUN, DEV = pins("requirements.txt"), pins("requirements-dev.txt")


def test_what_the_program_imports_is_named_with_a_reason():
    assert imported_packages("app.py", "core", "pages") <= named_first("requirements.txt")


def test_what_the_tests_import_is_named_with_a_reason_or_comes_with_the_program():
    assert imported_packages("tests") <= named_first("requirements-dev.txt") | set(RUN)


@pytest.mark.parametrize("package", [*RUN, *DEV])
def test_the_tests_run_on_the_pinned_versions(package):
    assert version(package) == {**RUN, **DEV}[package]


@pytest.mark.parametrize("package", [*RUN, *DEV])
def test_whatever_a_package_brings_along_is_pinned(package):
    needs = [Requirement(text) for text in distribution(package).requires or ()]
    needed = {
        canonicalize_name(need.name) for need in needs if need.marker is None or need.marker.evaluate({"extra": ""})
    }
    assert needed <= {*RUN, *DEV} if package in DEV else needed <= set(RUN)


def make(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run make on the project's Makefile in another folder, knowing nothing of a make that runs the tests."""
    if shutil.which("make") is None:
        missing("make")
    command = ["make", "-f", str(HERE / "Makefile"), *words]
    env = {"PATH": os.environ["PATH"]}
    return subprocess.run(command, cwd=folder, env=env, text=True, capture_output=True, check=False)


def pretend_python(folder: Path, *, too_old: bool) -> str:
    """A python3 that is too old, or one without what makes virtual environments."""
    path = folder / "python"
    path.write_text(f'#!/bin/sh\ncase "$2" in *version_info*) exit {int(too_old)};; esac\nexit 1\n')
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    "too_old, sentence", [(True, "needs Python 3.11 or newer"), (False, "apt install python3-venv")]
)
@pytest.mark.parametrize("target", ["run", "test"])
def test_make_says_which_python_it_needs(tmp_path, target, too_old, sentence):
    (tmp_path / "requirements.txt").touch()
    (tmp_path / "requirements-dev.txt").touch()
    done = make(target, f"PYTHON={pretend_python(tmp_path, too_old=too_old)}", folder=tmp_path)
    assert done.returncode != 0
    assert sentence in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_make_alone_tells_what_it_can_do(tmp_path):
    told = make(folder=tmp_path).stdout
    targets = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE)) - {"help"}
    assert {line.split()[1] for line in told.splitlines()} == targets
