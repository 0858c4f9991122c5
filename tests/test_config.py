"""Settings: what can be set, what is refused, and in which words."""

import ast
from pathlib import Path

import pytest
from dotenv import dotenv_values

from core import config
from core.config import get_settings, read_settings, secret_from_environment
from core.errors import ConfigError

HERE = Path(__file__).parents[1]
EXAMPLE = dotenv_values(HERE / ".env.example")

# A value for each key that is not its default.
OTHER = {
    "DATABASE_URL": "postgresql://reader:secret@db.example:5432/shoptally",
    "DATA_DIR": "elsewhere",
    "APP_ENCRYPTION_KEYS": "one, two",
    "DEMO": "0",
    "SHOPIFY_BASE_URL": "http://localhost:8080/{shop}",
    "SYNC_WORKER": "off",
    "MCP": "on",
    "LOG_LEVEL": "debug",
    "LOG_FORMAT": "json",
    "METRICS_TOKEN": "sixteen-letters-or-more",
    "SHOPIFY_API_KEY": "key",
    "SHOPIFY_API_SECRET": "secret",
    "SHOPIFY_API_SECRET_OLD": "secret before",
    "DEMO_ORDER_SECONDS": "7",
    "APP_URL": "https://numbers.example/",
    "REGISTRATION": "open",
    "SMTP_HOST": "mail.example",
    "SMTP_PORT": "2525",
    "SMTP_USER": "user",
    "SMTP_PASSWORD": "password",
    "SMTP_FROM": "shoptally@example.com",
    "SMTP_TLS": "off",
    "ALERT_EMAIL": "ops@example.com",
    "ALERT_WEBHOOK_URL": "http://127.0.0.1:8080/alerts",
    "ALERT_AFTER_FAILURES": "5",
    "FAIL_AT": "mid_transaction:2",
}

APP = ("SHOPIFY_API_KEY", "SHOPIFY_API_SECRET")


def keys_read(source: str) -> set[str]:
    """The keys that code takes from a mapping called env: env.get(KEY, ..) and helper(env, KEY, ..)."""
    keys = set()
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        of_env = isinstance(call.func, ast.Attribute) and getattr(call.func.value, "id", "") == "env"
        with_env = bool(call.args) and getattr(call.args[0], "id", "") == "env"
        place = 0 if of_env else 1 if with_env else None
        if place is not None and len(call.args) > place and isinstance(call.args[place], ast.Constant):
            keys.add(call.args[place].value)
    return keys


def test_the_example_lists_every_key_that_is_read_and_no_other():
    assert set(EXAMPLE) == keys_read((HERE / "core" / "config.py").read_text())


def test_the_example_read_as_it_is_gives_the_defaults():
    assert read_settings({key: value or "" for key, value in EXAMPLE.items()}) == read_settings({})


def test_every_key_has_a_word_of_explanation_above_it():
    lines = (HERE / ".env.example").read_text().splitlines()
    for number, line in enumerate(lines):
        if line and not line.startswith("#"):
            assert lines[number - 1].startswith("#"), line


@pytest.mark.parametrize("key", EXAMPLE)
def test_every_key_changes_the_settings(key):
    app = {name: OTHER[name] for name in APP} if key in (*APP, "SHOPIFY_API_SECRET_OLD") else {}
    assert read_settings({**app, key: f"{OTHER[key]}1" if key in APP else OTHER[key]}) != read_settings(app)


def test_what_is_set_arrives():
    settings = read_settings(OTHER)
    assert settings.database_url == "postgresql+psycopg2://reader:secret@db.example:5432/shoptally"
    assert not settings.is_sqlite
    assert settings.data_dir == Path("elsewhere")
    assert settings.encryption_keys == ("one", "two")
    assert settings.shopify_base_url == "http://localhost:8080/{shop}"
    assert (settings.demo, settings.sync_worker, settings.log_level) == (False, False, "DEBUG")


def test_without_settings_there_is_a_file_and_a_demo():
    settings = read_settings({})
    assert settings.is_sqlite
    assert settings.database_url == f"sqlite:///{config.ROOT / 'data' / 'shoptally.db'}"
    assert settings.secret_key_file == config.ROOT / "data" / "secret.key"
    assert (settings.demo, settings.sync_worker, settings.log_level) == (True, True, "INFO")


def test_a_shopify_address_of_its_own_switches_the_demo_off_unless_told_otherwise():
    url = {"SHOPIFY_BASE_URL": "http://localhost:8080"}
    assert not read_settings(url).demo
    assert read_settings({**url, "DEMO": "1"}).demo


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_every_way_to_write_a_postgresql_address_is_understood(scheme):
    assert read_settings({"DATABASE_URL": f"{scheme}://h/n"}).database_url == "postgresql+psycopg2://h/n"


@pytest.mark.parametrize("word, on", [("1", True), ("TRUE", True), ("yes", True), ("On", True), ("0", False),
                                      ("false", False), ("No", False), ("off", False)])  # fmt: skip
def test_switches_understand_the_usual_words(word, on):
    assert read_settings({"SYNC_WORKER": word}).sync_worker is on


@pytest.mark.parametrize(
    "key, value",
    [
        ("DATABASE_URL", "mysql://user:hunter2@h/n"),
        ("APP_URL", "numbers.example"),
        ("APP_URL", "https://user:hunter2@numbers.example"),
        ("APP_URL", "http://numbers.example/hunter2"),
        ("APP_URL", "http://localhost.hunter2.example"),
        ("APP_URL", "https://numbers.example\\@hunter2.example"),
        ("APP_URL", "https://numbers.example/?next=hunter2"),
        ("APP_URL", "https://numbers.example/<hunter2>"),
        ("REGISTRATION", "closed"),
        ("LOG_FORMAT", "hunter2"),
        ("METRICS_TOKEN", "hunter2"),
        ("METRICS_TOKEN", "hunter2 and some blanks"),
        ("DATABASE_URL", "shoptally.db"),
        ("SHOPIFY_BASE_URL", "my-store.myshopify.com"),
        ("SHOPIFY_BASE_URL", "ftp://user:hunter2@h"),
        ("DEMO", "maybe hunter2"),
        ("SYNC_WORKER", "2"),
        ("LOG_LEVEL", "hunter2"),
        ("SMTP_PORT", "65536"),
        ("SMTP_PORT", "hunter2"),
        ("SMTP_TLS", "hunter2"),
        ("SMTP_FROM", "hunter2"),
        ("ALERT_EMAIL", "a@example.com, hunter2@example.com"),
        ("ALERT_AFTER_FAILURES", "0"),
        ("ALERT_WEBHOOK_URL", "http://hooks.example/hunter2"),
        ("ALERT_WEBHOOK_URL", "http://127.0.0.1@hooks.example/hunter2"),
        ("ALERT_WEBHOOK_URL", "https://hooks.example/hunter2\r\nX: y"),
        ("ALERT_WEBHOOK_URL", "file:///hunter2"),
    ],
)
def test_a_wrong_value_is_refused_by_the_keys_name_with_the_fix_and_never_repeated(key, value):
    with pytest.raises(ConfigError, match=f"^{key} .*(Leave it out|Write )") as caught:
        read_settings({key: value})
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "key, value",
    [
        ("APP_ENCRYPTION_KEYS", "hunter2"),
        ("SHOPIFY_API_SECRET", "hunter2"),
        ("SHOPIFY_API_SECRET_OLD", "hunter2"),
        ("SMTP_PASSWORD", "hunter2"),
        ("ALERT_WEBHOOK_URL", "https://hooks.example/hunter2"),
        ("DATABASE_URL", "postgresql://user:hunter2@h/n"),
    ],
)
def test_settings_shown_in_a_log_hide_what_is_secret(key, value):
    assert "hunter2" not in repr(read_settings({"SHOPIFY_API_KEY": "key", "SHOPIFY_API_SECRET": "secret", key: value}))


@pytest.mark.parametrize("url", ["http://localhost:8501", "http://127.0.0.1", "http://[::1]:8501/below/"])
def test_this_machine_needs_no_https(url):
    assert read_settings({"APP_URL": url}).app_url == url.rstrip("/")


@pytest.mark.parametrize(
    "keys, missing",
    [
        (("SHOPIFY_API_KEY",), "SHOPIFY_API_SECRET"),
        (("SHOPIFY_API_SECRET",), "SHOPIFY_API_KEY"),
        (("SHOPIFY_API_SECRET_OLD",), "SHOPIFY_API_SECRET_OLD"),
        (("SHOPIFY_API_KEY", "SHOPIFY_API_SECRET_OLD"), "SHOPIFY_API_SECRET"),
    ],
)
def test_half_an_app_is_refused_with_the_other_half(keys, missing):
    with pytest.raises(ConfigError, match=rf"^{missing} .*leave (both|the old one) out\.") as caught:
        read_settings(dict.fromkeys(keys, "hunter2"))
    assert "hunter2" not in str(caught.value)


def test_stores_are_installed_only_with_the_app_and_the_way_back():
    app = {"SHOPIFY_API_KEY": "key", "SHOPIFY_API_SECRET": "new"}
    assert not read_settings(app).installs and not read_settings({"APP_URL": "https://numbers.example"}).installs
    whole = read_settings({**app, "APP_URL": "https://numbers.example", "SHOPIFY_API_SECRET_OLD": "old"})
    assert whole.installs and whole.shopify_secrets == ("new", "old")
    assert read_settings(app).shopify_secrets == ("new",) and read_settings({}).shopify_secrets == ()


def test_the_environment_wins_over_the_file(monkeypatch):
    (config.ROOT / ".env").write_text("LOG_LEVEL=ERROR\nDEMO=0\n")
    monkeypatch.delenv("DEMO")
    monkeypatch.setenv("LOG_LEVEL", "WARNING")
    assert get_settings().log_level == "WARNING"
    assert not get_settings().demo


def test_a_secret_comes_from_the_variable_that_is_named(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", " shpat_1 \n")
    assert secret_from_environment("MY_TOKEN") == "shpat_1"
    monkeypatch.setenv("MY_TOKEN", " ")
    with pytest.raises(ConfigError, match="MY_TOKEN is not set"):
        secret_from_environment("MY_TOKEN")
