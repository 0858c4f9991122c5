"""Files for a spreadsheet: exact numbers, and no text that it would run."""

import pytest

from core.reports.table import harmless


@pytest.mark.parametrize("text", ["=1+1", "+cmd|'/c calc'!A1", "-2+3", "@SUM(A1)", "\t=1"])
def test_a_title_is_never_a_formula(text):
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-12.50", "0.00", "-1e-05", "7", "", "Mug", "a-b"])
def test_numbers_and_plain_words_stay_as_they_are(text):
    assert harmless(text) == text
