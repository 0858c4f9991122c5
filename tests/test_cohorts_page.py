"""The cohorts page: its cells against a slow count from orders, and what it says where there is little."""

import csv
import io
from collections import defaultdict
from datetime import date, timedelta

import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from core.analytics.cohorts import cohorts
from core.analytics.frames_customers import cohort_cells
from core.analytics.period import shop_today
from core.db.engine import shop_session
from core.reports.table import csv_text
from core.ui import cohorts_view
from tests.factories import add_shop, add_user, context
from tests.test_frames_customers import START, a_busy_shop, shop_day, slowly, store
from tests.test_pages import ALICE, ALICES, NAMES, cast, no_cache, open_page, sell, tables
from tests.test_pages import add_shop as add_page_shop

__all__ = ["cast", "no_cache", "tables"]
ZONE = "America/New_York"


def test_cells_equal_a_slow_count_of_orders_and_ledger_rows(database: Engine) -> None:
    shop, documents = add_shop(1), a_busy_shop(4)
    add_shop(2)
    store(shop, documents)
    store(context(2), a_busy_shop(5))
    first = {who: min(its["days"]).replace(day=1) for who, its in slowly(documents, date(2027, 1, 1)).items()}
    slow = defaultdict(lambda: [set(), 0, 0])
    for document in documents:
        who = (document["customer"] or {}).get("id") or (document["email"] or "").lower()
        if document["test"] or not who:
            continue
        placed = slow[first[who], shop_day(document["processedAt"]).replace(day=1)]
        placed[0].add(who)
        placed[1] += 1
        for made in document["agreements"]:
            cents = sum(round(float(row["totalAmount"]["shopMoney"]["amount"]) * 100) for row in made["sales"])
            slow[first[who], shop_day(made["happenedAt"]).replace(day=1)][2] += cents
    with shop_session(1) as session:
        found = cohort_cells(session)
    rows = [(key, (len(who), orders, net)) for key, (who, orders, net) in sorted(slow.items()) if orders or net]
    assert [((row[0], row[1]), row[2:]) for row in found.itertuples(index=False, name=None)] == rows
    assert len(rows) > 1


def test_the_file_has_every_cohort_and_exact_sums(database: Engine) -> None:
    store(add_shop(1), a_busy_shop(4))
    with shop_session(1) as session:
        cells = cohort_cells(session)
    found = cohorts(cells, START + timedelta(days=400))
    rows = list(csv.DictReader(io.StringIO(csv_text(cohorts_view.cohorts_table(found), "USD"))))
    assert len(rows) == sum(found.complete)
    last = [row for row in rows if int(row["months_since"]) == found.complete[found.months.index(
        date.fromisoformat(row["first_month"]))] - 1]  # fmt: skip
    booked = sum(round(float(row["cumulative_net_sales USD"]) * 100) for row in last)
    assert booked == cells["net_sales"].sum()
    assert sum(int(row["cumulative_orders"]) for row in last) == cells["orders"].sum()


def read_aloud(at: AppTest) -> str:
    """What the browser is sent, but for tables: their empty cells are dashes there."""
    return " ".join(str(part.proto) for part in (*at.main, *at.sidebar) if part.type != "arrow_data_frame").lower()


def days_ago(months: int, day: int = 10) -> int:
    """How many days ago the tenth was, that many months before the shop's month."""
    today = shop_today(ZONE)
    number = today.year * 12 + today.month - 1 - months
    return (today - date(number // 12, number % 12 + 1, day)).days


def test_the_table_shows_who_came_back_and_leaves_the_rest_blank(tables) -> None:
    add_one_shop()
    sell(1, 1, "100.00", days_ago(3), customer=1)
    sell(1, 2, "50.00", days_ago(3), customer=2)
    sell(1, 3, "30.00", days_ago(2), customer=1)
    sell(1, 4, "20.00", days_ago(1), customer=3)
    shown = open_page("cohorts.py", ALICE).dataframe[0].value
    assert list(shown["Customers"]) == [2, 1]
    assert shown[["0", "1", "2"]].values.tolist()[0] == [1.0, 0.5, 0.0]
    assert shown["0"][1] == 1.0 and shown[["1", "2"]].iloc[1].isna().all()
    money = open_page("cohorts.py", ALICE, measure="Net sales per customer").dataframe[0].value
    assert money[["0", "1", "2"]].values.tolist()[0] == [75.0, 90.0, 90.0]


@pytest.mark.parametrize("measure", ["Retention", "Net sales per customer", "Orders per customer", "Nonsense"])
@pytest.mark.parametrize(("currency", "amount"), [("JPY", "1000"), ("KWD", "1.234")])
def test_any_measure_of_any_currency_is_shown_without_nan(tables, measure, currency, amount) -> None:
    add_one_shop(currency=currency, name="**bold** [x](https://example.com)", taxes_included=True)
    for number, name in enumerate(NAMES, 1):
        sell(1, number, amount, days_ago(number % 4), customer=number, name=name, title=name)
    at = open_page("cohorts.py", ALICE, measure=measure, cohorts="All cohorts")
    assert at.dataframe and "nan" not in read_aloud(at)
    assert at.metric[0].value == "0.0%" and at.metric[3].value == "–"


def test_a_store_with_one_young_order_says_when_there_will_be_a_cohort(tables) -> None:
    add_one_shop()
    sell(1, 1, "10.00", 0)
    at = open_page("cohorts.py", ALICE)
    assert "No cohort has a whole month behind it yet" in at.info[0].value and not at.dataframe


def test_where_no_month_after_the_first_is_over_no_empty_lines_are_drawn(tables) -> None:
    add_one_shop()
    sell(1, 1, "10.00", days_ago(1))
    at = open_page("cohorts.py", ALICE)
    assert len(at.get("vega_lite_chart")) == 1 and at.dataframe
    assert "No cohort has a second whole month behind it yet." in [said.value for said in at.caption]
    at = open_page("cohorts.py", ALICE, measure="Net sales per customer")
    assert len(at.get("vega_lite_chart")) == 2


def test_a_cohort_that_gave_everything_back_is_worth_nothing(tables) -> None:
    add_one_shop()
    sell(1, 1, "10.00", days_ago(2))
    sell(1, 2, "-10.00", days_ago(2), kind="ADJUSTMENT")
    shown = open_page("cohorts.py", ALICE, measure="Net sales per customer").dataframe[0].value
    assert shown[["0", "1"]].values.tolist() == [[0.0, 0.0]]


def test_only_who_may_export_is_offered_the_file(cast) -> None:
    sell(1, 9, "10.00", 70, customer=9)
    add_user(9, "vera@example.com", 1, role="viewer")
    assert open_page("cohorts.py", ALICE).get("download_button")
    assert not open_page("cohorts.py", 9).get("download_button")


def add_one_shop(**columns: object) -> None:
    add_page_shop(1, ALICES, **columns)
    add_user(ALICE, "alice@example.com", 1)
