"""The floor plan, enforced: who may import whom, and what may appear where.

Each rule is a function from a file to its complaints. RULES pairs it with a small file that breaks it, so that a
rule which has stopped seeing anything fails too.
"""

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import missing

HERE = Path(__file__).parents[1]

# Room -> rooms of core it may import beside itself. Nobody imports app, pages or tests.
OPEN = {"config", "errors", "log", "mail"}
MAY_IMPORT: dict[str, set[str]] = {
    "config": OPEN,
    "errors": OPEN,
    "log": OPEN,
    "mail": OPEN,
    "db": OPEN,
    "shopify": OPEN,
    "analytics": OPEN | {"db"},
    "auth": OPEN | {"db"},
    "demo": OPEN | {"shopify"},
    "sync": OPEN | {"db", "shopify", "demo"},
    "reports": OPEN | {"db", "analytics", "auth"},
    "web": OPEN | {"db", "shopify", "analytics", "auth", "sync", "reports"},
    "ui": OPEN | {"db", "analytics", "auth", "sync", "reports"},
    "arguments": set(),
    "figures": OPEN | {"db", "analytics", "auth", "reports", "sync"},
    "doctor": OPEN | {"db", "sync"},
    "backup": OPEN | {"db"},
    "dev_store": OPEN | {"db", "shopify", "demo", "auth", "sync"},
    "__main__": OPEN
    | {"db", "analytics", "auth", "sync", "web", "reports", "figures", "doctor", "backup", "dev_store", "arguments"},
    "pages": OPEN | {"ui", "analytics", "auth", "sync"},
    "app": {"web"},
    "core": set(),
}

# Package -> rooms that may import it. One that is not here is new: say where it belongs, and pin it.
PACKAGES: dict[str, set[str]] = {
    "streamlit": {"ui", "pages", "app"},
    "streamlit_authenticator": {"ui"},
    "altair": {"ui", "reports", "app"},
    "babel": {"ui", "reports"},
    "pandas": {"analytics", "ui", "reports"},
    "xlsxwriter": {"reports"},
    "vl_convert": {"reports"},
    "fpdf": {"reports"},
    "pymupdf_fonts": {"reports"},
    "noto_cjk_sans_jp_regular": {"reports"},
    "fontTools": {"reports"},
    "numpy": {"analytics", "reports"},
    "scipy": {"analytics"},
    "statsmodels": {"analytics"},
    "shopify": {"shopify"},
    "httpx2": {"shopify", "demo", "web"},
    "msgspec": {"shopify", "demo", "sync"},
    "graphql": {"demo"},
    "schedule": {"sync"},
    "sqlmodel": {"db", "analytics", "auth", "sync", "reports", "doctor", "__main__"},
    "sqlalchemy": {"db", "analytics", "auth", "sync", "web", "backup"},
    "psycopg2": {"db"},
    "alembic": {"db"},
    "cryptography": {"db"},
    "bcrypt": {"auth"},
    "pyotp": {"auth"},
    "segno": {"ui"},
    "dotenv": {"config"},
    "starlette": {"web"},
    "prometheus_client": {"web", "ui"},
    "fastapi": {"web"},
    "pydantic": {"web"},
    "pyarrow": {"reports"},
    "mcp": {"web"},
    "anyio": {"web"},
}

# What a key of the shared cache may be made of.
SCALARS = {"int", "str", "bool", "float", "date", "Grain", "Literal", "Filters", "Wanted", "Figure"}


@dataclass(frozen=True)
class File:
    """A Python file of the project, by its path from the root ("core/db/models.py")."""

    path: str
    source: str

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(ast.parse(self.source)))

    @cached_property
    def body(self) -> list[ast.stmt]:
        return ast.parse(self.source).body

    @property
    def room(self) -> str:
        """db, ui, .. for a file of core, else pages or app; core is the package itself."""
        top, *rest = Path(self.path).with_suffix("").parts
        if top != "core":
            return top
        return rest[0] if rest != ["__init__"] else "core"

    @property
    def stem(self) -> str:
        return Path(self.path).stem


def imported(file: File) -> Iterator[str]:
    """Every module a file names in an import; `from core import log` is core.log."""
    for node in file.nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            name = "." * node.level + (node.module or "")
            yield from (f"core.{alias.name}" for alias in node.names) if name == "core" else [name]


def calls(file: File, *names: str) -> Iterator[ast.Call]:
    """Calls of a function or method by its last name."""
    for node in file.nodes:
        if isinstance(node, ast.Call):
            last = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if last in names:
                yield node


def functions(file: File) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in file.nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)))


def rooms_are_entered_by_their_doors(file: File) -> Iterator[str]:
    for name in imported(file):
        top, *rest = name.split(".")
        if top == "":
            yield f"{name}: imports are written in full, from core"
        elif top in ("app", "pages", "tests"):
            yield f"nobody imports {top}"
        elif top == "core" and rest and rest[0] not in MAY_IMPORT[file.room] | {file.room}:
            yield f"{file.room} may not import {name}"


def packages_stay_in_their_rooms(file: File) -> Iterator[str]:
    for name in imported(file):
        top = name.split(".")[0]
        if top in PACKAGES and file.room not in PACKAGES[top]:
            yield f"{top} belongs to {', '.join(sorted(PACKAGES[top]))}"
        elif top and top not in PACKAGES and top not in ("core", "app", "pages", "tests", *sys.stdlib_module_names):
            yield f"{top} is in no room yet: name it in PACKAGES and in requirements.txt"


def nothing_is_printed(file: File) -> Iterator[str]:
    yield from (f"line {call.lineno}: print" for call in calls(file, "print", "pprint"))


def settings_are_read_in_one_place(file: File) -> Iterator[str]:
    if file.room == "config":
        return
    for node in file.nodes:
        named = (
            {alias.name for alias in node.names} if isinstance(node, ast.ImportFrom) and node.module == "os" else set()
        )
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "os":
            named = {node.attr}
        if found := named & {"environ", "environb", "getenv", "getenvb", "putenv"}:
            yield f"line {node.lineno}: {', '.join(found)} is for core/config.py"


def no_sql_around_the_guard(file: File) -> Iterator[str]:
    """The tenant guard sees statements of a session, not what goes to the connection."""
    if file.room == "db" or file.path == "core/analytics/frames.py":
        return
    for node in file.nodes:
        if isinstance(node, ast.Attribute) and (node.attr in _AROUND_THE_GUARD or node.attr.startswith("read_sql")):
            yield f"line {node.lineno}: .{node.attr}"
        elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "connect":
            if ast.unparse(node.func) != "sqlite3.connect":  # a scratch file of its own, not the database
                yield f"line {node.lineno}: .connect("
        elif isinstance(node, ast.Attribute) and node.attr == "text" and getattr(node.value, "id", "") in _SQL:
            yield f"line {node.lineno}: text("
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in (*_SQL, "pandas"):
            for alias in node.names:
                if alias.name in ("text", "Table", "Connection") or alias.name.startswith("read_sql"):
                    yield f"line {node.lineno}: {alias.name} from {node.module}"


_AROUND_THE_GUARD = {"connection", "raw_connection", "exec_driver_sql", "__table__"}
_SQL = ("sqlalchemy", "sqlmodel", "sa")


def cached_figures_are_keyed_by_shop_and_version(file: File) -> Iterator[str]:
    """The cache is shared by every visitor: what is not in the key is shown to strangers."""
    for function in functions(file):
        decorators = " ".join(ast.unparse(decorator) for decorator in function.decorator_list)
        if "cache_resource" in decorators:
            yield f"{function.name}: cache_resource hands out one object to everybody"
        if "cache_data" not in decorators:
            continue
        given = function.args
        if given.vararg or given.kwarg or given.kwonlyargs or given.defaults:
            yield f"{function.name}: only plain arguments without defaults"
        if [argument.arg for argument in given.args[:2]] != ["shop_id", "data_version"]:
            yield f"{function.name}: begins with shop_id, data_version"
        for argument in given.args:
            if argument.arg.startswith("_"):
                yield f"{function.name}: Streamlit leaves {argument.arg} out of the key"
            if argument.annotation is None or not _is_scalar(argument.annotation):
                yield f"{function.name}: {argument.arg} is no scalar"


def _is_scalar(annotation: ast.expr) -> bool:
    if isinstance(annotation, ast.BinOp):
        return _is_scalar(annotation.left) and _is_scalar(annotation.right)
    if isinstance(annotation, ast.Constant):
        return annotation.value is None
    named = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return isinstance(named, ast.Name) and named.id in SCALARS


def only_one_file_touches_the_visitors_state(file: File) -> Iterator[str]:
    if file.path == "core/ui/session.py":
        return
    for node in file.nodes:
        if isinstance(node, ast.Attribute) and node.attr == "session_state":
            yield f"line {node.lineno}: session_state is for core/ui/session.py"


def clicks_are_not_lost(file: File) -> Iterator[str]:
    if file.path != "core/ui/session.py":
        for call in calls(file, "rerun"):
            yield f"line {call.lineno}: run_again() of core/ui/session.py lets a click that waits go first"


def pages_are_scripts(file: File) -> Iterator[str]:
    if file.room == "pages":
        for node in file.nodes:
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
                yield f"line {node.lineno}: functions live in core/ui"


def pages_ask_first_who_is_there(file: File) -> Iterator[str]:
    """Behind the router's gate once more: a page must be safe whoever runs it."""
    if file.room != "pages" or file.stem in ("_router", "sign_in"):
        return
    first = next(
        node
        for node in file.body
        if not isinstance(node, (ast.Import, ast.ImportFrom))
        and not isinstance(getattr(node, "value", 0), ast.Constant)
    )
    asked = ast.unparse(first.value) if isinstance(first, ast.Assign) else ""
    if asked not in ("require_shop()", "require_user()"):
        yield f"line {first.lineno}: the first line of a page is require_shop() or require_user()"


def pages_shadow_no_module(file: File) -> Iterator[str]:
    """Streamlit puts pages/ first on sys.path while the router runs."""
    if file.room == "pages" and (file.stem in sys.stdlib_module_names or find_spec(file.stem) is not None):
        yield f"{file.stem} is the name of a module"


def files_stay_readable(file: File) -> Iterator[str]:
    ceiling = {"pages": 80, "app": 40}.get(file.room, 400)
    if (lines := len(file.source.splitlines())) > ceiling:
        yield f"{lines} lines, the ceiling is {ceiling}"


def files_are_named_for_what_they_hold(file: File) -> Iterator[str]:
    for part in Path(file.path).with_suffix("").parts:
        if set(part.lower().split("_")) & {"util", "utils", "helper", "helpers", "common", "misc"}:
            yield f"{part} says nothing"


def public_functions_say_what_they_do(file: File) -> Iterator[str]:
    """Module functions, and methods of classes that stand alone: an override is described where it comes from."""
    if file.path.startswith("core/db/migrations/"):
        return
    bodies = [
        file.body,
        *(n.body for n in file.body if isinstance(n, ast.ClassDef) and not n.bases and n.name[0] != "_"),
    ]
    for node in (node for body in bodies for node in body):
        public = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not node.name.startswith("_")
        if public and not ast.get_docstring(node):
            yield f"{node.name} has no docstring"


def functions_name_their_types(file: File) -> Iterator[str]:
    for function in functions(file):
        given = function.args
        arguments = [*given.posonlyargs, *given.args, *given.kwonlyargs, *filter(None, (given.vararg, given.kwarg))]
        untyped = [each.arg for each in arguments if each.annotation is None and each.arg not in ("self", "cls")]
        if untyped or function.returns is None:
            yield f"{function.name}: no type for {', '.join(untyped) or 'what it returns'}"


def who_catches_everything_says_why(file: File) -> Iterator[str]:
    """By a comment, or by the docstring of a function that is nothing but this guard."""
    lines = file.source.splitlines()
    guards = {
        id(function.body[1]) for function in functions(file) if len(function.body) == 2 and ast.get_docstring(function)
    }
    for node in file.nodes:
        for handler in node.handlers if isinstance(node, ast.Try) and id(node) not in guards else ():
            caught = ast.unparse(handler.type) if handler.type else "everything"
            near = lines[handler.lineno - 1 : handler.body[0].lineno - 1] or [lines[handler.lineno - 1]]
            if caught in ("Exception", "BaseException", "everything") and not any("#" in line for line in near):
                yield f"line {handler.lineno}: except {caught} without a reason"


class Rule(NamedTuple):
    """A rule, and files that break it."""

    check: Callable[[File], Iterator[str]]
    broken: tuple[File, ...]


PAGE = "import streamlit as st\n\nfrom core.ui.session import require_shop\n\n"

RULES = (
    Rule(
        rooms_are_entered_by_their_doors,
        (
            File("core/shopify/client.py", "from core.db.models import Order"),
            File("core/db/engine.py", "from core import sync"),
            File("core/analytics/frames.py", "def late():\n    import core.sync.engine"),
            File("core/demo/server.py", "from core.db import models"),
            File("core/config.py", "from core.db.engine import get_engine"),
            File("core/ui/cards.py", "from core.shopify.client import ShopClient"),
            File("core/ui/cards.py", "from . import charts"),
            File("core/sync/engine.py", "import pages.overview"),
            File("core/__init__.py", "from core.errors import AppError"),
            File("pages/overview.py", "from core.db.engine import shop_session"),
            File("app.py", "from core.config import get_settings"),
        ),
    ),
    Rule(
        packages_stay_in_their_rooms,
        (
            File("core/analytics/frames.py", "import streamlit as st"),
            File("core/sync/engine.py", "import shopify"),
            File("core/demo/server.py", "from shopify.session import Session"),
            File("core/web/startup.py", "import schedule"),
            File("core/sync/connect.py", "import httpx2"),
            File("core/db/rollups.py", "import pandas as pd"),
            File("core/auth/accounts.py", "import requests"),
        ),
    ),
    Rule(nothing_is_printed, (File("core/sync/engine.py", "def f():\n    print('x')"),)),
    Rule(
        settings_are_read_in_one_place,
        (
            File("core/web/startup.py", "import os\nos.environ['DEMO']"),
            File("core/db/engine.py", "import os\nos.getenv('DEMO')"),
            File("core/db/engine.py", "from os import environ"),
        ),
    ),
    Rule(
        no_sql_around_the_guard,
        (
            File("core/sync/jobs.py", "session.connection().execute(query)"),
            File("core/analytics/report.py", "pd.read_sql_query(query, engine)"),
            File("core/analytics/report.py", "from pandas import read_sql"),
            File("core/auth/accounts.py", "from sqlmodel import text"),
            File("core/auth/accounts.py", "import sqlalchemy as sa\nsession.execute(sa.text('SELECT 1'))"),
            File("core/sync/resources/orders.py", "Order.__table__.select()"),
            File("core/web/routes.py", "with get_engine().connect() as c: ..."),
        ),
    ),
    Rule(
        cached_figures_are_keyed_by_shop_and_version,
        (
            File("core/ui/data.py", "@st.cache_data\ndef f(shop_id: int): ..."),
            File(
                "core/ui/data.py", "@st.cache_data(ttl=1)\ndef f(shop_id: int, data_version: int, _session: int): ..."
            ),
            File("core/ui/data.py", "@st.cache_data\ndef f(shop_id: int, data_version: int, shop: ShopAccess): ..."),
            File("core/ui/data.py", "@st.cache_data\ndef f(shop_id: int, data_version: int, *rest: int): ..."),
            File("core/ui/data.py", "@st.cache_data\ndef f(shop_id: int, data_version: int = 0): ..."),
            File("core/ui/data.py", "@st.cache_data\ndef f(data_version: int, shop_id: int): ..."),
            File("core/ui/data.py", "@st.cache_resource\ndef f(shop_id: int, data_version: int): ..."),
        ),
    ),
    Rule(only_one_file_touches_the_visitors_state, (File("pages/overview.py", PAGE + "st.session_state['x'] = 1"),)),
    Rule(
        pages_are_scripts,
        (
            File("pages/overview.py", PAGE + "def f(): ..."),
            File("pages/overview.py", PAGE + "f = lambda: 0"),
            File("pages/overview.py", PAGE + "class Card: ..."),
        ),
    ),
    Rule(clicks_are_not_lost, (File("pages/overview.py", PAGE + "st.rerun()"),)),
    Rule(
        pages_ask_first_who_is_there,
        (
            File("pages/overview.py", PAGE + "st.title('Overview')\nshop = require_shop()"),
            File("pages/overview.py", '"""Overview."""\n' + PAGE + "shop = first_shop()"),
        ),
    ),
    Rule(
        pages_shadow_no_module,
        (File("pages/calendar.py", ""), File("pages/schedule.py", ""), File("pages/core.py", "")),
    ),
    Rule(
        files_stay_readable,
        (File("core/a.py", "x\n" * 401), File("pages/a.py", "x\n" * 81), File("app.py", "x\n" * 41)),
    ),
    Rule(
        files_are_named_for_what_they_hold,
        (File("core/utils.py", ""), File("core/ui/chart_helpers.py", ""), File("core/common/money.py", "")),
    ),
    Rule(
        public_functions_say_what_they_do,
        (
            File("core/db/money.py", "def minor(amount: str) -> int: ..."),
            File("core/db/money.py", "class Money:\n    def minor(self) -> int: ..."),
        ),
    ),
    Rule(
        functions_name_their_types,
        (
            File("core/db/money.py", "def minor(amount) -> int: ..."),
            File("core/db/money.py", "def minor(amount: str): ..."),
            File("core/db/money.py", "class Money:\n    def minor(self, *parts) -> int: ..."),
        ),
    ),
    Rule(
        who_catches_everything_says_why,
        (
            File("core/sync/engine.py", "try:\n    f()\nexcept Exception:\n    g()  # goes on"),
            File("core/sync/engine.py", "try:\n    f()\nexcept:\n    pass"),
            File(
                "core/sync/engine.py",
                "def f():\n    'Does.'\n    x = 1\n    try:\n        g()\n    except Exception:\n        pass",
            ),
        ),
    ),
)

FILES = [
    File(str(path.relative_to(HERE)), path.read_text())
    for path in sorted([HERE / "app.py", *(HERE / "core").rglob("*.py"), *(HERE / "pages").rglob("*.py")])
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.check.__name__)
def test_the_floor_plan_holds(rule):
    assert [f"{file.path}: {complaint}" for file in FILES for complaint in rule.check(file)] == []


@pytest.mark.parametrize(
    "rule, file",
    [pytest.param(rule, file, id=f"{rule.check.__name__}-{n}") for rule in RULES for n, file in enumerate(rule.broken)],
)
def test_a_file_that_breaks_the_floor_plan_is_noticed(rule, file):
    assert list(rule.check(file)) != []


def test_every_room_of_core_is_on_the_plan():
    assert {file.room for file in FILES} == set(MAY_IMPORT)


def test_the_plan_of_core_names_every_room():
    plan = (HERE / "core" / "__init__.py").read_text()
    named = set(re.findall(r"^(\w+)(?:\.py|/) ", plan, re.MULTILINE))
    assert named == set(MAY_IMPORT) - {"core", "pages", "app"}


def test_every_page_is_in_the_menu():
    router = File("pages/_router.py", (HERE / "pages" / "_router.py").read_text())
    listed = {call.args[0].value for call in calls(router, "Page") if isinstance(call.args[0], ast.Constant)}
    assert listed == {path.name for path in (HERE / "pages").glob("*.py")} - {"_router.py"}


# Put together here, or this file would be found itself.
MACHINE_PATHS = re.compile(r"(?<![\w.~}])/(?:" + "|".join(("home", "root", "tmp", "work", "opt", "Users")) + r")/\w")
TEXTS = {".py", ".toml", ".md", ".txt", ".graphql", ".svg", ".mako", ".example", ".dockerignore", ""}


def test_nothing_of_ours_names_a_path_of_one_machine():
    """By git's own listing, so that a developer's .venv and data stay out of it."""
    if shutil.which("git") is None or not (HERE / ".git").exists():
        missing("a git checkout")
    names = subprocess.run(["git", "ls-files"], cwd=HERE, capture_output=True, text=True, check=True).stdout.split()
    texts = {
        name: (HERE / name).read_text() for name in names if Path(name).suffix in TEXTS and (HERE / name).is_file()
    }
    assert len(texts) > 50
    assert {name: hit[0] for name, text in texts.items() if (hit := MACHINE_PATHS.search(text))} == {}


def test_a_path_of_one_machine_is_noticed():
    assert MACHINE_PATHS.search("open('/" + "home/alice/shop.db')")
    assert not MACHINE_PATHS.search("https://shop.example/" + "home/alice")
