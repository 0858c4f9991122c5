"""Passwords: what may be chosen, and bcrypt. Length and guessability count, kinds of characters do not.

NIST SP 800-63B asks for the same: a minimum length, a list of common passwords, no composition rules.
"""

import base64
import hashlib
import re
import secrets
from functools import cache
from pathlib import Path

import bcrypt

from core.errors import InputError

SHORTEST, LONGEST = 12, 128

_WORDS = Path(__file__).with_name("common_words.txt")
_FEWEST_DIFFERENT = 5
# What is left beside the reader's own name, e-mail address or ours has to be worth something.
_LEAST_BESIDE_NAMES = 8
# Fingers and minds walk along these.
_WALKS = (
    "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz", "01234567890123456789012345678901234567890",
    "qwertyuiopasdfghjklzxcvbnm", "qwertzuiopasdfghjklyxcvbnm", "azertyuiopqsdfghjklmwxcvbn",
    "1234567890qwertyuiopasdfghjklzxcvbnm", "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p", "qazwsxedcrfvtgbyhnujmikolp",
    "1q2w3e4r5t6y7u8i9o0p", "q1w2e3r4t5y6u7i8o9p0", "!@#$%^&*()_+", "a1b2c3d4e5f6g7h8i9j0", "1a2b3c4d5e6f7g8h9i0j",
    "zxcvbnmasdfghjklqwertyuiop", "zaq12wsxcde34rfvbgt56yhnmju78ik",
)  # fmt: skip
_LOOKALIKES = str.maketrans("@4301!$5789", "aaeoiisstbg")
# The hash of 32 random bytes that were thrown away, of the same cost: unknown users take as long as known ones.
_NOBODYS_HASH = "$2b$12$DxmHM8g4kTtvZPnXc97jCuBTTL2r0fj6EXBnGr3cTim0PdBgGjAdW"


def check(password: str, email: str) -> None:
    """Raises InputError for a password that is too short, too long, or among the first to be guessed."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InputError("A password has 12 to 128 characters. Choose a longer one; a sentence is fine.")
    if _is_common(password.lower()) or _is_about(password.lower(), email.lower()):
        raise InputError("This password is among the first that are guessed. Choose another one; a sentence is fine.")


def hash_password(password: str) -> str:
    """The bcrypt hash that matches() compares with."""
    return bcrypt.hashpw(_digest(password), bcrypt.gensalt()).decode()


def matches(password: str, password_hash: str | None) -> bool:
    """Whether the password belongs to the hash; without a hash False, after the same work."""
    same = bcrypt.checkpw(_digest(password), (password_hash or _NOBODYS_HASH).encode())
    return same and password_hash is not None


def new_password() -> str:
    """A random password of four groups, easy to type."""
    return "-".join("".join(secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(5)) for _ in range(4))


def _digest(password: str) -> bytes:
    """bcrypt reads 72 bytes at most and stops at a NUL: hash first, so every character of a long sentence counts."""
    return base64.b64encode(hashlib.sha256(password.encode()).digest())


def _is_common(password: str) -> bool:
    """One thing over and over, a walk over the keyboard, or one or two common words between digits and signs."""
    if len(set(password)) < _FEWEST_DIFFERENT or re.fullmatch(r"(.{1,16}?)\1+.?", password, re.DOTALL):
        return True
    if any(password in walk or password[::-1] in walk for walk in _WALKS):
        return True
    return any(
        _is_two_words(re.sub(r"[\W\d_]", "", text))
        for text in (password.strip(_AROUND).translate(_LOOKALIKES), password)
    )


_AROUND = "0123456789 \t!@#$%^&*()-_=+[]{};:'\",.<>/?\\|`~"


def _is_two_words(letters: str) -> bool:
    words = _common_words()
    return letters in words or any(letters[:at] in words and letters[at:] in words for at in range(3, len(letters) - 2))


def _is_about(password: str, email: str) -> bool:
    """Little more than the e-mail address, its name or its host, or this program's name."""
    name, _, host = email.partition("@")
    left = password
    for part in (email, name, host, host.split(".")[0], "shoptally"):
        if len(part) >= 4:
            left = left.replace(part, "")
    return left != password and len(left) < _LEAST_BESIDE_NAMES


@cache
def _common_words() -> frozenset[str]:
    return frozenset(
        word for line in _WORDS.read_text("utf-8").splitlines() if not line.startswith("#") for word in line.split()
    )
