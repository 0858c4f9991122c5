"""The second factor, on both databases: codes and recovery codes count once, guesses run out."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pyotp
import pytest
from sqlalchemy import Engine

from core.auth import accounts, second_factor
from core.db.engine import system_session
from core.db.models import User
from core.errors import InputError, NotPermitted, TooManyAttempts
from tests.factories import at

PASSWORD = "a sentence is fine"
NOON = at("2030-01-01T12:00")
STEP = timedelta(seconds=30)


@pytest.fixture
def dora(database: Engine) -> int:
    return accounts.add_user("dora@example.com", "Dora", PASSWORD)


@pytest.fixture
def secret(dora: int) -> str:
    """Dora's second factor, switched on."""
    secret = second_factor.new_secret()
    second_factor.switch_on(dora, secret, pyotp.TOTP(secret).now())
    return secret


def code(secret: str, when: datetime) -> str:
    return pyotp.TOTP(secret).at(when)


def test_the_codes_are_those_of_rfc_6238():
    """Its test vectors for SHA-1, cut to six digits."""
    secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
    for seconds, digits in ((59, "287082"), (1111111109, "081804"), (20000000000, "353130")):
        step = second_factor._step(secret, digits, datetime.fromtimestamp(seconds, tz=NOON.tzinfo))
        assert step == seconds // 30


def test_it_is_on_only_after_a_right_code(dora):
    secret = second_factor.new_secret()
    with pytest.raises(InputError, match="not right"):
        second_factor.switch_on(dora, secret, "000000" if pyotp.TOTP(secret).now() != "000000" else "111111")
    assert not second_factor.is_on(dora)
    codes = second_factor.switch_on(dora, secret, pyotp.TOTP(secret).now())
    assert second_factor.is_on(dora)
    assert len(set(codes)) == 10 == second_factor.codes_left(dora)
    with system_session() as session:
        stored = repr(session.get_one(User, dora).model_dump())
    assert secret not in stored
    assert not any(code.replace("-", "") in stored for code in codes)


def test_a_code_counts_once_and_none_of_an_earlier_step_after_it(dora, secret):
    assert second_factor.check(dora, code(secret, NOON), now=NOON)
    assert not second_factor.check(dora, code(secret, NOON), now=NOON)
    assert not second_factor.check(dora, code(secret, NOON), now=NOON + STEP)
    assert not second_factor.check(dora, code(secret, NOON - STEP), now=NOON)
    assert second_factor.check(dora, code(secret, NOON + STEP), now=NOON + STEP)


def test_the_code_that_switched_it_on_does_not_sign_in(dora):
    secret = second_factor.new_secret()
    used = pyotp.TOTP(secret).now()
    second_factor.switch_on(dora, secret, used)
    assert not second_factor.check(dora, used)


@pytest.mark.parametrize(("steps", "right"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_off_by_half_a_minute(dora, secret, steps, right):
    assert second_factor.check(dora, code(secret, NOON + steps * STEP), now=NOON) is right


def test_of_eight_who_send_one_code_at_once_one_gets_in(dora, secret):
    sent = code(secret, NOON)

    def send(_: int) -> bool:
        try:
            return second_factor.check(dora, sent, now=NOON)
        except TooManyAttempts:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(send, range(8))) == 1


@pytest.mark.parametrize("typed", ["", " ", "12345", "1234567", "١٢٣٤٥٦", "abcdef", "\x00", "x" * 10_000, "\ud800"])
def test_what_is_no_code_is_refused(dora, secret, typed):
    assert second_factor.check(dora, typed, now=NOON) is False


def test_spaces_do_not_matter(dora, secret):
    sent = code(secret, NOON)
    assert second_factor.check(dora, f" {sent[:3]} {sent[3:]}", now=NOON)


def test_a_recovery_code_counts_once(dora):
    secret = second_factor.new_secret()
    first, second, *_ = second_factor.switch_on(dora, secret, pyotp.TOTP(secret).now())
    assert second_factor.check(dora, first.upper().replace("-", " "))
    assert not second_factor.check(dora, first)
    assert second_factor.check(dora, second)
    assert second_factor.codes_left(dora) == 8


def test_new_recovery_codes_replace_the_old_ones(dora):
    secret = second_factor.new_secret()
    (old, *_) = second_factor.switch_on(dora, secret, pyotp.TOTP(secret).now())
    with pytest.raises(InputError):
        second_factor.renew_recovery_codes(dora, "wrong")
    (new, *_) = second_factor.renew_recovery_codes(dora, PASSWORD)
    assert not second_factor.check(dora, old)
    assert second_factor.check(dora, new)


def test_guesses_run_out_even_for_who_knows_the_password(dora, secret):
    for _ in range(5):
        assert accounts.verify("dora@example.com", PASSWORD) == dora
        assert not second_factor.check(dora, "000000", now=NOON)
    assert accounts.verify("dora@example.com", PASSWORD) == dora
    with pytest.raises(TooManyAttempts):
        second_factor.check(dora, code(secret, NOON), now=NOON)


def test_switching_off_needs_the_password(dora, secret):
    with pytest.raises(InputError, match="present password"):
        second_factor.switch_off(dora, "wrong")
    assert second_factor.is_on(dora)
    second_factor.switch_off(dora, PASSWORD)
    assert not second_factor.is_on(dora) and second_factor.codes_left(dora) == 0
    assert not second_factor.check(dora, code(secret, NOON), now=NOON)


def test_it_is_not_replaced_while_it_is_on(dora, secret):
    other = second_factor.new_secret()
    with pytest.raises(InputError, match="on already"):
        second_factor.switch_on(dora, other, pyotp.TOTP(other).now())


def test_the_demos_users_have_none(dora):
    with system_session(write=True) as session:
        session.get_one(User, dora).demo_password = "sealed"
    secret = second_factor.new_secret()
    with pytest.raises(NotPermitted):
        second_factor.switch_on(dora, secret, pyotp.TOTP(secret).now())


def test_an_authenticator_app_can_read_the_address():
    uri = second_factor.setup_uri("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", "dora+x@example.com")
    parsed = pyotp.parse_uri(uri)
    assert (parsed.name, parsed.issuer, parsed.secret) == (
        "dora+x@example.com",
        "Shoptally",
        "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ",
    )
