"""Settings from the environment and .env: the only reader of os.environ.

A wrong setting stops the start with the key's name and the fix.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from dotenv import dotenv_values

from core.errors import ConfigError

ROOT = Path(__file__).parents[1]
_THIS_MACHINE = ("localhost", "127.0.0.1", "[::1]")


@dataclass(frozen=True)
class Settings:
    """What can be set from outside; .env.example describes each key."""

    database_url: str = field(repr=False)
    data_dir: Path
    encryption_keys: tuple[str, ...] = field(repr=False)
    demo: bool
    demo_order_seconds: int  # 0: none
    shopify_base_url: str | None
    sync_worker: bool
    mcp: bool
    log_level: str
    log_format: str  # PLAIN or JSON
    metrics_token: str | None = field(repr=False)  # None: there are no metrics
    app_url: str | None
    registration: str  # OPEN, INVITE or OFF
    fail_at: tuple[str, int] | None
    shopify_api_key: str | None
    shopify_api_secret: str | None = field(repr=False)
    shopify_api_secret_old: str | None = field(repr=False)  # while the secret is being changed
    smtp_host: str | None
    smtp_port: int
    smtp_user: str | None
    smtp_password: str | None = field(repr=False)
    smtp_from: str | None
    smtp_tls: str  # STARTTLS, TLS or OFF
    alert_email: str | None
    alert_webhook_url: str | None = field(repr=False)  # such addresses carry their secret in the path
    alert_after_failures: int

    @property
    def has_shopify_app(self) -> bool:
        """Whether the app's own id and secret are known: then it can ask Shopify for access tokens."""
        return self.shopify_api_key is not None and self.shopify_api_secret is not None

    @property
    def shopify_secrets(self) -> tuple[str, ...]:
        """What Shopify may have signed with: the app's secret, and the one before while it is being changed."""
        return tuple(secret for secret in (self.shopify_api_secret, self.shopify_api_secret_old) if secret is not None)

    @property
    def installs(self) -> bool:
        """Whether stores are connected by installing the app: Shopify knows it, and where to send merchants back to."""
        return self.has_shopify_app and self.app_url is not None

    @property
    def sends_links(self) -> bool:
        """Whether links go out by e-mail: there is a mail server, and the address they lead to is known for sure."""
        return self.smtp_host is not None and self.app_url is not None

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is the local file."""
        return self.database_url.startswith("sqlite")

    @property
    def secret_key_file(self) -> Path:
        """Where a key made on first start is kept, beside a local SQLite database."""
        return self.data_dir / "secret.key"


@cache
def get_settings() -> Settings:
    """The process's settings, read once. Raises ConfigError."""
    env_file = ROOT / ".env"
    from_file = dotenv_values(env_file) if env_file.is_file() else {}
    return read_settings({**{k: v for k, v in from_file.items() if v is not None}, **os.environ})


def read_settings(env: Mapping[str, str]) -> Settings:
    """Settings from a mapping of variables; blank counts as unset. Raises ConfigError."""
    env = {key: value.strip() for key, value in env.items() if value.strip()}
    data_dir = Path(env.get("DATA_DIR", ROOT / "data"))
    database_url = env.get("DATABASE_URL", f"sqlite:///{data_dir / 'shoptally.db'}")
    shopify_base_url = env.get("SHOPIFY_BASE_URL")
    _need_whole_app(env)
    return Settings(
        database_url=_database_url(database_url),
        data_dir=data_dir,
        encryption_keys=tuple(key.strip() for key in env.get("APP_ENCRYPTION_KEYS", "").split(",") if key.strip()),
        demo=_switch(env, "DEMO", default=shopify_base_url is None),
        demo_order_seconds=_number(env, "DEMO_ORDER_SECONDS", 45, least=0, most=86_400),
        shopify_base_url=_base_url(shopify_base_url),
        sync_worker=_switch(env, "SYNC_WORKER", default=True),
        mcp=_switch(env, "MCP", default=False),
        log_level=_choice(env, "LOG_LEVEL", "INFO", ("DEBUG", "INFO", "WARNING", "ERROR")),
        log_format=_choice(env, "LOG_FORMAT", "PLAIN", ("PLAIN", "JSON")),
        metrics_token=_metrics_token(env.get("METRICS_TOKEN")),
        app_url=_app_url(env.get("APP_URL")),
        registration=_choice(env, "REGISTRATION", "INVITE", ("OPEN", "INVITE", "OFF")),
        fail_at=_fail_at(env.get("FAIL_AT")),
        shopify_api_key=env.get("SHOPIFY_API_KEY"),
        shopify_api_secret=env.get("SHOPIFY_API_SECRET"),
        shopify_api_secret_old=env.get("SHOPIFY_API_SECRET_OLD"),
        smtp_host=env.get("SMTP_HOST"),
        smtp_port=_number(env, "SMTP_PORT", 587, most=65535),
        smtp_user=env.get("SMTP_USER"),
        smtp_password=env.get("SMTP_PASSWORD"),
        smtp_from=_address(env, "SMTP_FROM"),
        smtp_tls=_choice(env, "SMTP_TLS", "STARTTLS", ("STARTTLS", "TLS", "OFF")),
        alert_email=_address(env, "ALERT_EMAIL"),
        alert_webhook_url=_webhook_url(env.get("ALERT_WEBHOOK_URL")),
        alert_after_failures=_number(env, "ALERT_AFTER_FAILURES", 3, most=100),
    )


def secret_from_environment(name: str) -> str:
    """A secret handed over in the variable `name`. Raises ConfigError when it is unset."""
    value = os.environ.get(name, "").strip()
    if not value:
        raise ConfigError(f"The environment variable {name} is not set. Put the access token into it and run again.")
    return value


def _database_url(url: str) -> str:
    if url.startswith("postgres://"):  # what hosting panels hand out; SQLAlchemy wants the long name
        url = "postgresql://" + url.removeprefix("postgres://")
    if url.startswith("postgresql://"):
        url = "postgresql+psycopg2://" + url.removeprefix("postgresql://")
    if not re.match(r"(sqlite|postgresql\+psycopg2)://", url):
        raise ConfigError(
            "DATABASE_URL is not a database address. Leave it out for a local file, or write "
            "sqlite:////absolute/path.db or postgresql://user:password@host:5432/name."
        )
    return url


def _base_url(url: str | None) -> str | None:
    if url is not None and not re.fullmatch(r"https?://[^\s?#]+", url):
        raise ConfigError(
            "SHOPIFY_BASE_URL is not an address. Leave it out to talk to Shopify, or write for example "
            "http://localhost:8080 or http://localhost:8080/{shop}."
        )
    return url.rstrip("/") if url else None


def _need_whole_app(env: Mapping[str, str]) -> None:
    key, secret = env.get("SHOPIFY_API_KEY"), env.get("SHOPIFY_API_SECRET")
    if (key is None) != (secret is None):
        name = "SHOPIFY_API_KEY" if key is None else "SHOPIFY_API_SECRET"
        raise ConfigError(f"{name} is missing. Set SHOPIFY_API_KEY and SHOPIFY_API_SECRET both, or leave both out.")
    if "SHOPIFY_API_SECRET_OLD" in env and secret is None:
        raise ConfigError(
            "SHOPIFY_API_SECRET_OLD is the secret before SHOPIFY_API_SECRET, which is missing. Set that too, or leave "
            "the old one out."
        )


def _app_url(url: str | None) -> str | None:
    """Only https: merchants come back to it with a code, and links in e-mails let people in."""
    if url is None:
        return None
    match = re.fullmatch(r"(https?)://(\[[0-9a-f:]+\]|[\w.-]+)(:\d+)?(/[\w./~%-]*)?", url, re.ASCII)
    if match is None or (match[1] == "http" and match[2] not in _THIS_MACHINE):
        raise ConfigError(
            "APP_URL is not an address that people may be sent to. Write where they open this app, with https://, such "
            "as https://numbers.example; plain http:// only leads to localhost."
        )
    return url.rstrip("/")


def _metrics_token(token: str | None) -> str | None:
    if token is not None and not re.fullmatch(r"[\x21-\x7e]{16,}", token):
        raise ConfigError(
            "METRICS_TOKEN is too easy to guess, or holds blanks. Write 16 letters or more, made for example with: "
            "python -c 'import secrets; print(secrets.token_urlsafe())'"
        )
    return token


def _webhook_url(url: str | None) -> str | None:
    if url is None:
        return None
    match = re.fullmatch(r"(https?)://(\[[0-9a-f:]+\]|[^\s/?#@:]+)(:\d+)?(/[^\s#]*)?", url, re.ASCII)
    if match is None or (match[1] == "http" and match[2] not in _THIS_MACHINE):
        raise ConfigError(
            "ALERT_WEBHOOK_URL is not an address that messages may go to. Write it with https://; "
            "plain http:// only leads to this machine."
        )
    return url


def _address(env: Mapping[str, str], key: str) -> str | None:
    value = env.get(key)
    if value is not None and not re.fullmatch(r"[^@\s,<>]+@[^@\s,<>]+", value):
        raise ConfigError(f"{key} is not an e-mail address. Write one address, such as {key}=name@example.com.")
    return value


def _number(env: Mapping[str, str], key: str, default: int, *, most: int, least: int = 1) -> int:
    value = env.get(key, str(default))
    if not re.fullmatch(r"\d{1,9}", value, re.ASCII) or not least <= int(value) <= most:
        raise ConfigError(f"{key} is not a number that fits. Write one from {least} to {most}.")
    return int(value)


def _fail_at(text: str | None) -> tuple[str, int] | None:
    if text is None:
        return None
    match = re.fullmatch(r"([a-z_]+):([1-9]\d*)", text)
    if match is None:
        raise ConfigError("FAIL_AT is for tests only and looks like mid_transaction:2. Leave it out.")
    return match[1], int(match[2])


def _switch(env: Mapping[str, str], key: str, *, default: bool) -> bool:
    value = env.get(key)
    if value is None:
        return default
    if value.lower() not in ("1", "0", "true", "false", "yes", "no", "on", "off"):
        raise ConfigError(f"{key} is neither on nor off. Write {key}=1 or {key}=0.")
    return value.lower() in ("1", "true", "yes", "on")


def _choice(env: Mapping[str, str], key: str, default: str, choices: tuple[str, ...]) -> str:
    value = env.get(key, default).upper()
    if value not in choices:
        raise ConfigError(f"{key} is not known. Write one of {', '.join(choices)}.")
    return value
