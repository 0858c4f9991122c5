"""The commands that README shows are run, as they stand there, on the store of the demo."""

import shlex
from datetime import timedelta
from pathlib import Path

import pytest

from core import config
from core.__main__ import main
from core.db import engine as db
from core.demo import server
from core.demo.install import DemoApp
from core.demo.server import utc_now
from tests.demo_http import HARBOR, serve_demo
from tests.test_docs import blocks

# What is left out here runs until it is ended, or for minutes, and has a file of its own: test_worker.py,
# test_dev_store.py.
LONG = ("worker", "dev-store")
LAST = ("user disable", "user enable", "user reset-password", "shop delete")


def told() -> list[str]:
    """README's lines of this program without the interpreter, in its order but for what would end the others early."""
    lines = [" ".join(shlex.split(line)[3:]) for line in blocks("sh") if line.startswith(".venv/bin/python -m core ")]
    lines = [line for line in lines if not line.startswith((*LONG, "welcome"))]
    return sorted(lines, key=lambda line: [line.startswith(name) for name in reversed(LAST)])


def test_what_readme_shows_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(server, "RESTORED_PER_S", 1e6)
    ours = DemoApp("client-id", "client-secret", ())
    with serve_demo(utc_now().date() - timedelta(days=20), utc_now, ours) as base_url:
        for name, value in {
            "DEMO": "0", "SHOPIFY_BASE_URL": f"{base_url}/{{shop}}", "MY_TOKEN": HARBOR.token,
            "SHOPIFY_API_KEY": "client-id", "SHOPIFY_API_SECRET": "client-secret",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        config.get_settings.cache_clear()
        assert main(["user", "add", "--email", "bob@example.com", "--name", "Bob"]) == 0
        for number, line in enumerate(told()):
            if line.startswith("restore"):  # into an empty database; what follows is done with what was restored
                db.get_engine().dispose()
                monkeypatch.setenv("DATABASE_URL", f"sqlite:///{tmp_path}/{number}.db")
                config.get_settings.cache_clear()
                db.get_engine.cache_clear()
            words = [HARBOR.domain if word == "my-store.myshopify.com" else word for word in line.split()]
            code = main(words)
            assert code == 0, (line, capsys.readouterr().err)
    assert (tmp_path / "orders.parquet").stat().st_size > 1000
