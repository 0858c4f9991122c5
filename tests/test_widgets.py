"""What the source says of every widget and table, without drawing one."""

import ast
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parents[1]
FILES = sorted([*(HERE / "core" / "ui").glob("*.py"), *(HERE / "pages").glob("*.py")])


def calls(of: str | None = None) -> Iterator[tuple[Path, ast.Call, str]]:
    """Each call of an attribute in the pages and their views, with its name."""
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and of in (None, node.func.attr):
                yield file, node, node.func.attr


def test_a_key_belongs_to_one_kind_of_widget_in_the_whole_app():
    kinds: dict[str, set[str]] = {}
    for _, call, name in calls():
        for keyword in call.keywords:
            if (
                keyword.arg == "key"
                and isinstance(keyword.value, ast.Constant)
                and isinstance(keyword.value.value, str)
            ):
                kinds.setdefault(keyword.value.value, set()).add(name)
    assert len(kinds) > 100
    # What one page's selectbox left in the session, another page's button of that key takes for a press, in every run.
    assert {key: names for key, names in kinds.items() if len(names) > 1} == {}


def test_every_table_keeps_its_first_column_in_sight():
    tables = list(calls("dataframe"))
    assert len(tables) > 30
    without = [
        f"{file.name}:{call.lineno}"
        for file, call, _ in tables
        if "pinned" not in ast.unparse(next(each.value for each in call.keywords if each.arg == "column_config"))
        and file.name != "order_view.py"  # its tables share a function that pins the first column of each
    ]
    assert without == []
