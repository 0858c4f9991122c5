"""Logs: one line an event, with request, shop and run where known; secrets and personal data never reach them."""

import json
import logging
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import Any

_ABOUT: ContextVar[Mapping[str, str | int]] = ContextVar("what lines are about", default=MappingProxyType({}))

# In this order: the e-mail pattern would take the end of an address's password, and leave its beginning.
_SECRETS = (
    (re.compile(r"(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"), "[credentials]"),
    (re.compile(r"\bshp(?:at|ca|pa|ss|ua|rt)_[A-Za-z0-9_-]+"), "[token]"),
    (re.compile(r"\bshoptally_[A-Za-z0-9_-]{20,}"), "[key]"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), "[jwt]"),
    (re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+"), "[e-mail]"),
    # With its country, or in groups of three, three and four: ids, days and amounts are neither.
    (re.compile(r"(?<![\w.])\+\d(?:[ ().-]{0,2}\d){7,14}\b"), "[phone]"),
    (re.compile(r"(?<![\w.+-])(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}\b"), "[phone]"),
    # PostgreSQL quotes the row or the value it refused.
    (re.compile(r"(?m)(?<=DETAIL:).*$"), " [row]"),
    (re.compile(r"(?m)(?<=CONTEXT:)  COPY.*$"), " [row]"),
    (re.compile(r"(?m)(invalid input syntax for type [\w ]+: ).*$"), r"\1[value]"),
)


def mask(text: str) -> str:
    """The text with access tokens, JWTs, e-mail addresses, phone numbers, credentials and quoted rows replaced."""
    for pattern, name in _SECRETS:
        text = pattern.sub(name, text)
    return text


@contextmanager
def about(**ids: str | int | None) -> Iterator[None]:
    """Name what the lines of this block are about, such as shop_id and run_id; also in threads that asyncio starts."""
    before = _ABOUT.set({**_ABOUT.get(), **{name: value for name, value in ids.items() if value is not None}})
    try:
        yield
    finally:
        _ABOUT.reset(before)


class MaskingFormatter(logging.Formatter):
    """Formats a record, traceback included, and masks the whole; what it is about stands at the end of the line."""

    def format(self, record: logging.LogRecord) -> str:
        return mask(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:
        ids = ", ".join(f"{name}={value}" for name, value in _ids(record).items())
        return super().formatMessage(record) + (f" ({ids})" if ids else "")


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, what it is about, traceback; each text masked."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": mask(record.getMessage()),
            **_ids(record),
        }
        if record.exc_info:
            fields["traceback"] = mask(record.exc_text or self.formatException(record.exc_info))
        return json.dumps(fields, ensure_ascii=False)


def _ids(record: logging.LogRecord) -> Mapping[str, str | int]:
    """As they were when the line was written: it may be formatted in another thread."""
    ids: Mapping[str, str | int] = getattr(record, "about", None) or {}
    return ids


def configure(level: str = "INFO", form: str = "PLAIN") -> None:
    """Send our logs to standard error, masked; quiet the libraries that log headers or bodies.

    With `form` JSON what the server under the pages logs to handlers of its own is JSON too.
    """
    handler = logging.StreamHandler()
    formatter = JsonFormatter() if form == "JSON" else MaskingFormatter(_LINE)
    handler.setFormatter(formatter)
    root = logging.getLogger("core")
    root.handlers[:] = [handler]
    root.setLevel(level)
    root.propagate = False
    logging.setLogRecordFactory(_record_with_masked_traceback)
    sys.excepthook = _log_uncaught
    for name in ("pyactiveresource", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)  # at DEBUG they print the token header
    if form == "JSON":
        for name in [known for known in logging.root.manager.loggerDict if _SERVER.match(known)]:
            for other in logging.getLogger(name).handlers:
                other.setFormatter(formatter)


_LINE = "%(asctime)s %(levelname)s %(name)s %(message)s"
_SERVER = re.compile(r"(streamlit|uvicorn)(\.|$)")


def _record_with_masked_traceback(*given: Any, **named: Any) -> logging.LogRecord:
    """Other loggers print tracebacks too, Streamlit's above all: an exception's text may quote a row."""
    record = logging.LogRecord(*given, **named)
    record.about = _ABOUT.get()
    if record.exc_info:
        record.exc_text = mask(logging.Formatter().formatException(record.exc_info))
    return record


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logging.getLogger("core").critical("stopped by what this program did not foresee", exc_info=(kind, error, trace))
