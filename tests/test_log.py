"""Logs: what must never reach them, whatever was logged."""

import json
import logging
import sys
import threading
from contextvars import copy_context

import pytest

from core import log
from core.errors import ConfigError

SECRETS = {
    "an access token": "shpat_0123456789abcdef0123456789abcdef",
    "a refresh token": "shprt_0123456789-abcdef_0123456789abcdef",
    "an app secret": "shpss_0123456789abcdef0123456789abcdef",
    "a session token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MiJ9.c2lnbmF0dXJl",
    "an e-mail address": "ana.maria+shop@mail.example.com",
    "a phone number with its country": "+49 30 901820-11",
    "a phone number in one piece": "+12125550123",
    "a phone number in groups": "(212) 555-0123",
    "a phone number with dashes": "212-555-0123",
}


@pytest.fixture(autouse=True)
def own_logger():
    """Give the loggers back as they were: other tests listen to them too."""
    core, quiet = logging.getLogger("core"), [logging.getLogger(n) for n in ("pyactiveresource", "httpx2", "httpcore2")]
    before = core.handlers[:], core.level, core.propagate, [logger.level for logger in quiet]
    factory, hook = logging.getLogRecordFactory(), sys.excepthook
    yield
    logging.setLogRecordFactory(factory)
    sys.excepthook = hook
    core.handlers[:], core.propagate = before[0], before[2]
    core.setLevel(before[1])
    for logger, level in zip(quiet, before[3], strict=True):
        logger.setLevel(level)


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_secrets_are_masked_in_the_middle_of_a_sentence(secret):
    masked = log.mask(f"the value '{secret}', given by hand")
    assert secret not in masked
    assert masked.startswith("the value '[")
    assert masked.endswith("]', given by hand")


@pytest.mark.parametrize("password", ["hunter2", "hunt!er2", "h:unter2", "p%40ss"])
@pytest.mark.parametrize("host", ["db:5432", "db.example", "10.0.0.7"])
def test_the_password_of_an_address_is_masked_and_its_host_is_not(password, host):
    assert log.mask(f"postgresql://reader:{password}@{host}/n") == f"postgresql://[credentials]@{host}/n"


@pytest.mark.parametrize(
    "text",
    [
        "gid://shopify/Order/450789469: 3 rows in 0.2 s",
        "https://my-store.myshopify.com/admin/api/2026-10/graphql.json answered 429",
        "postgresql://db.example:5432/shoptally",
        "2026-11-01T00:00:00Z order #1001, 12.50 USD",
        "2026-11-01 09:30:00.123456+00:00, 1,234,567 rows, +12.50 %, -1234567890.12, 10.0.0.7:5432",
        "sale -1-0 of 4611686018427387904 in run 42 took 12.3 s",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text):
    assert log.mask(text) == text


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_log_line_masks_its_arguments_and_its_traceback(secret, capsys):
    log.configure("DEBUG")
    try:
        raise ConfigError(f"deep inside: {secret}")
    except ConfigError:
        logging.getLogger("core.sync").exception("failed with %s", secret)
    written = capsys.readouterr().err
    assert secret not in written
    assert "ERROR core.sync failed with [" in written
    assert "core.errors.ConfigError: deep inside: [" in written


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_as_json_a_line_is_one_object_and_masks_the_same(secret, capsys):
    log.configure("DEBUG", "JSON")
    try:
        raise ConfigError(f'deep "inside":\nDETAIL:  row {secret}')
    except ConfigError:
        logging.getLogger("core.sync").exception("failed with %s", secret)
    written = capsys.readouterr().err
    assert secret not in written and written.count("\n") == 1
    found = json.loads(written)
    assert (found["level"], found["logger"]) == ("ERROR", "core.sync")
    assert found["message"].startswith("failed with [") and found["time"].endswith("+00:00")
    assert 'core.errors.ConfigError: deep "inside":\nDETAIL: [row]' in found["traceback"]


def test_lines_tell_what_they_are_about_as_long_as_it_lasts(capsys):
    log.configure("INFO", "JSON")
    with log.about(shop_id=7, run_id=42):
        with log.about(request_id="r-1", run_id=43, shop_id=None):
            logging.getLogger("core.sync").info("inner")
        logging.getLogger("core.sync").info("outer")
    logging.getLogger("core.sync").info("after")
    inner, outer, after = map(json.loads, capsys.readouterr().err.splitlines())
    assert {name: inner[name] for name in ("shop_id", "run_id", "request_id")} == {
        "shop_id": 7,
        "run_id": 43,
        "request_id": "r-1",
    }
    assert (outer["shop_id"], outer["run_id"], "request_id" in outer) == (7, 42, False)
    assert not {"shop_id", "run_id", "request_id"} & set(after)


def test_another_thread_is_about_nothing_unless_it_was_handed_over(capsys):
    log.configure("INFO")
    logger = logging.getLogger("core.sync")
    with log.about(shop_id=7):
        context = copy_context()
        for target in (lambda: logger.info("alone"), lambda: context.run(logger.info, "handed")):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
    alone, handed = capsys.readouterr().err.splitlines()
    assert alone.endswith("core.sync alone")
    assert handed.endswith("core.sync handed (shop_id=7)")


def test_the_server_under_the_pages_writes_json_too(capsys):
    server, handler = logging.getLogger("uvicorn.marked"), logging.StreamHandler(sys.stderr)
    server.addHandler(handler)
    try:
        log.configure("INFO", "JSON")
        server.warning("for ana.maria@mail.example.com")
    finally:
        server.removeHandler(handler)
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "for [e-mail]"


def test_configuring_twice_writes_a_line_once_to_standard_error_only(capsys):
    log.configure()
    log.configure()
    logging.getLogger("core.web").warning("said once")
    out, err = capsys.readouterr()
    assert err.count("said once") == 1
    assert out == ""


def test_the_level_decides_what_is_written(capsys):
    log.configure("WARNING")
    logging.getLogger("core.sync").info("too quiet")
    logging.getLogger("core.sync").warning("loud enough")
    err = capsys.readouterr().err
    assert "loud enough" in err
    assert "too quiet" not in err


def test_libraries_that_would_log_the_token_header_stay_quiet_at_debug(capsys):
    log.configure("DEBUG")
    handler = logging.StreamHandler(sys.stderr)
    logging.getLogger().addHandler(handler)
    try:
        for name in ("httpx2", "httpcore2.http11", "pyactiveresource.connection"):
            logging.getLogger(name).debug("X-Shopify-Access-Token: shpat_1")
            logging.getLogger(name).info("X-Shopify-Access-Token: shpat_1")
    finally:
        logging.getLogger().removeHandler(handler)
    assert "shpat_1" not in capsys.readouterr().err


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_a_traceback_of_another_librarys_logger_is_masked_too(secret, capsys):
    log.configure()
    other, handler = logging.getLogger("streamlit.other"), logging.StreamHandler(sys.stderr)
    other.addHandler(handler)
    try:
        raise ValueError(f"a row with {secret}")
    except ValueError:
        other.exception("Uncaught app execution")
    finally:
        other.removeHandler(handler)
    written = capsys.readouterr().err
    assert secret not in written
    assert "ValueError: a row with [" in written


def test_what_nobody_caught_is_masked(capsys):
    log.configure()
    error = ValueError(f"a row with {SECRETS['an e-mail address']}")
    sys.excepthook(ValueError, error, None)
    written = capsys.readouterr().err
    assert SECRETS["an e-mail address"] not in written
    assert "ValueError: a row with [e-mail]" in written


@pytest.mark.parametrize(
    "text",
    [
        "null value in a column\nDETAIL:  Failing row contains (1, 5, Ann Smith).",
        'bad value\nCONTEXT:  COPY stage_customer, line 1, column state: "Ann Smith"',
        'invalid input syntax for type timestamp with time zone: "Ann Smith"',
    ],
)
def test_rows_and_values_that_postgresql_quotes_are_masked(text):
    assert "Ann" not in log.mask(text)
    assert log.mask(text).split()[:2] == text.split()[:2]
