"""What may be a password."""

import bcrypt
import pytest

from core.auth import passwords
from core.errors import InputError

AS_SHIPPED = bcrypt.gensalt, passwords._NOBODYS_HASH  # before a test makes hashing cheap
EMAIL = "ann.lee@harbor-and-pine.example"


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery staple", "das Fahrrad steht im Keller", "x7#Qp9!mWz4v", "mgkwp-tqzrb-5hxyc-92ndf",
        "brennnessel am zaun", "パスワードは長い文章がいいのです", "  spaces around count  ", "839201746552",
    ],
)  # fmt: skip
def test_a_sentence_or_something_random_is_accepted(password):
    passwords.check(password, EMAIL)


@pytest.mark.parametrize(
    "password",
    [
        "password1234", "Password2026!", "P@ssw0rd1234", "passwordpassword", "123456789012", "1234567890123",
        "987654321098", "qwertyuiop12", "qwertyuiop[]", "1q2w3e4r5t6y", "1qaz2wsx3edc", "qazwsxedcrfv", "zaq12wsxcde3",
        "abcdefghijkl", "lkjihgfedcba", "aaaaaaaaaaaa", "abababababab", "abc123abc123", "iloveyou2026", "ILoveYou!!!!",
        "letmein12345", "changeme1234", "Summer2026!!", "welcome@2026", "liverpoolfc1", "manchesterunited",
        "tequieromucho", "1234567qwerty", "administrator", "jessica12345", "princess-2010", "trustno1trustno1",
        "dragon.master", "shoptally2026", "hunter hunter", "football1234", "starwars-1977", "azertyuiop12",
        "adminadmin12", "r00tr00t1234", "123qweasdzxc", "harrypotter7", "harbor-and-pine1", "ann.lee.2026",
        "Ann.Lee-1990!", "ann.lee@harbor-and-pine.example",
    ],
)  # fmt: skip
def test_what_is_guessed_first_is_refused_with_a_sentence(password):
    with pytest.raises(InputError, match="among the first that are guessed"):
        passwords.check(password, EMAIL)


def test_a_name_is_only_common_for_the_one_who_has_it():
    passwords.check("zorbaxqy.2026", EMAIL)
    with pytest.raises(InputError, match="among the first"):
        passwords.check("zorbaxqy.2026", "zorbaxqy@example.com")


@pytest.mark.parametrize("password", ["", "x7#Qp9!mWz4", "x7#Qp" * 26])
def test_the_length_is_12_to_128(password):
    with pytest.raises(InputError, match="12 to 128"):
        passwords.check(password, EMAIL)


def test_at_least_a_thousand_common_words_are_known():
    words = passwords._common_words()
    assert len(words) > 1000
    assert all(word.isalpha() for word in words)


def test_without_a_hash_nothing_matches_after_the_same_work(monkeypatch):
    costs = []
    real = bcrypt.checkpw

    def count(password: bytes, hashed: bytes) -> bool:
        costs.append(hashed.split(b"$")[2])
        return real(password, hashed)

    monkeypatch.setattr(bcrypt, "gensalt", AS_SHIPPED[0])
    monkeypatch.setattr(passwords, "_NOBODYS_HASH", AS_SHIPPED[1])
    known = passwords.hash_password("a sentence is fine")
    monkeypatch.setattr(bcrypt, "checkpw", count)
    assert passwords.matches("a sentence is fine", known)
    assert not passwords.matches("a sentence is fine", None)
    assert costs == [b"12", b"12"]


def test_passwords_made_here_are_allowed_and_never_the_same():
    made = {passwords.new_password() for _ in range(200)}
    assert len(made) == 200
    for password in made:
        passwords.check(password, EMAIL)
