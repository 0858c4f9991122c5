"""Columns of numbers have a currency's own decimals, and leave the separators to the browser."""

import pytest

from core.db.money import from_minor
from core.ui import columns


@pytest.mark.parametrize(("currency", "step"), [("JPY", 1), ("USD", 0.01), ("KWD", 0.001)])
def test_amounts_have_as_many_decimals_as_their_currency(currency, step):
    config = columns.money(currency)
    assert (config["type_config"]["format"], config["type_config"]["step"]) == ("localized", step)
    assert step == float(from_minor(1, currency))


def test_an_amount_has_the_symbol_that_browsers_know_or_its_code_in_the_heading():
    assert columns.amount("Value", "USD")["type_config"]["format"] == "dollar"
    assert columns.amount("Value", "EUR")["type_config"]["format"] == "euro"
    assert columns.amount("Value", "JPY")["type_config"]["format"] == "yen"
    dinars = columns.amount("Value", "KWD")
    assert (dinars["label"], dinars["type_config"]["format"]) == ("Value, KWD", "localized")
    bar = columns.bar("Value", [1.0, 2.5], "CAD", "")
    assert (bar["label"], bar["type_config"]["max_value"], bar["type_config"]["step"]) == ("Value, CAD", 2.5, 0.01)


def test_percentages_have_one_decimal_and_are_rounded_before_the_browser_would_cut_them():
    assert columns.percent()["type_config"]["step"] == columns.percent_bar()["type_config"]["step"] == 0.001
    assert columns.shares([0.12371, -0.0666, 1, 0, None, float("nan")]) == [0.124, -0.067, 1, 0, None, None]
