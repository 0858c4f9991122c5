"""The rows behind bars and cells that the Orders page cannot be narrowed to: they come to the figure, to the cent."""

import re
from datetime import date, timedelta

import pytest
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from core.analytics.cohorts import Cohorts, cohorts
from core.analytics.frames_behind import OfBuyers, orders_behind, rows_behind
from core.analytics.frames_customers import cohort_cells, cohort_cells_by
from core.analytics.period import Period
from core.auth.accounts import shops_of
from core.db.engine import shop_session
from core.db.filters import EVERYTHING, Filters
from core.ui import behind_view, cohorts_view
from tests.factories import add_shop, add_user, context
from tests.test_cohorts_by import documents_of
from tests.test_cohorts_page import add_one_shop, days_ago
from tests.test_drill import OF_FIRST, began_late, ways_below
from tests.test_frames_customers import START, store
from tests.test_pages import ALICE, no_cache, open_page, sell, tables, words

__all__ = ["no_cache", "tables"]
TODAY = START + timedelta(days=150)


def opened(behind: OfBuyers, filters: Filters, slug: str) -> int:
    """What the rows of a cell come to; a page of them has as many as it says."""
    with shop_session(1, filters) as session:
        if slug == "ltv":
            frame, sums = rows_behind(session, behind, 10_000, 0)
            assert len(frame) == sums["rows"]
            net = int((frame["total_amount"] - frame["tax_amount"]).sum())
            assert net == sums["total_amount"] - sums["tax_amount"]
            return net
        frame, counts = orders_behind(session, behind, 10_000, 0)
        assert len(frame) == counts["orders"] and frame["customer_id"].nunique() <= counts["customers"]
    return counts["customers" if slug == "retention" else "orders"]


def check(found: Cohorts, filters: Filters, since: date | None, dimension: str = "", value: str = "") -> int:
    """Each figure of all cohorts together is that of the rows it opens, divided by the customers."""
    figures = 0
    for slug in cohorts_view.MEASURE:
        for k in {0, 1, found.width - 1}:
            known = sum(size for size, over in zip(found.sizes, found.complete, strict=True) if over > k)
            if (figure := found.everyone(slug, k)) is not None:
                last = cohorts_view.months_after(TODAY.replace(day=1), -k - 1)
                behind = OfBuyers(since, last, k, slug != "retention", dimension, value)
                assert opened(behind, filters, slug) / known == figure
                figures += 1
    return figures


@pytest.fixture
def two_cohorts(database: Engine) -> None:
    """Buyers who began in January and in February, beside another shop; something is booked before an order's month."""
    documents = [each for each in documents_of(4) if not (began_late(each) and each["processedAt"] < "2026-02")]
    early = next(each for each in documents if began_late(each) and not each["test"])
    early["agreements"][0]["happenedAt"] = "2026-01-20T12:00:00Z"
    store(add_shop(1), [{**each, "sourceName": "pos" if n % 3 else "web"} for n, each in enumerate(documents)])
    add_shop(2)
    store(context(2), documents_of(5))


@pytest.mark.parametrize("filters", OF_FIRST, ids=["all", "by first order"])
def test_each_figure_of_all_cohorts_is_that_of_the_rows_it_opens(two_cohorts: None, filters: Filters):
    with shop_session(1, filters) as session:
        found = cohorts(cohort_cells(session), TODAY)
    assert len(found.months) == 2 and check(found, filters, None) == 9


@pytest.mark.parametrize("since", [date(2026, 1, 1), date(2026, 2, 1)])
def test_each_cell_by_value_is_that_of_the_rows_it_opens(two_cohorts: None, since: date):
    for dimension in ("product", "country", "discount_code", "channel"):
        with shop_session(1) as session:
            cells = cohort_cells_by(session, dimension, since, 2)
        for value in dict.fromkeys(cells["value"]):
            found = cohorts(cells[cells["value"] == value], TODAY)
            assert check(found, EVERYTHING, since, dimension, str(value)) == 9


def test_a_file_has_every_row_behind_a_figure_and_what_it_comes_to(two_cohorts: None, monkeypatch):
    add_user(ALICE, "alice@example.com", 1)
    (shop,) = shops_of(ALICE)
    monkeypatch.setattr(behind_view, "_AT_ONCE", 7)
    behind = OfBuyers(None, date(2026, 2, 1), 9, up_to=True)
    for of_orders, question in ((True, orders_behind), (False, rows_behind)):
        with shop_session(1) as session:
            frame, sums = question(session, behind, 10_000, 0)
        days = Period(date(2026, 1, 1), TODAY)
        made = behind_view.table(shop, behind_view.Figure("", behind, of_orders), days, len(frame))
        names, rows = [column.slug for column in made.columns], list(made.rows)
        assert [row[names.index("name")] for row in rows] == frame["name"].tolist() and len(rows) == len(made.rows) > 40
        amounts = sum(row[names.index("net_sales" if of_orders else "net")] for row in rows)
        assert amounts == (frame["net_sales"].sum() if of_orders else sums["total_amount"] - sums["tax_amount"])


def test_rows_behind_come_a_page_at_a_time_without_gaps(two_cohorts: None):
    behind = OfBuyers(None, date(2026, 2, 1), 9, up_to=True)
    with shop_session(1) as session:
        for read in (orders_behind, rows_behind):
            whole, _ = read(session, behind, 10_000, 0)
            pages = [read(session, behind, 7, at)[0] for at in range(0, len(whole) + 7, 7)]
            for name in ("name", "order_id") if read is rows_behind else ("id",):
                assert [each for page in pages for each in page[name]] == whole[name].tolist()


def net_together(at: AppTest) -> str:
    """What the rows below a figure come to; the Orders page says it in the same words."""
    found = re.search(r"Together: net (\S+),", words(at))
    return found[1] if found else ""


def test_cards_and_the_line_of_all_cohorts_open_their_rows_on_the_page_until_closed(tables):
    add_one_shop()
    sell(1, 1, "100.00", days_ago(3), customer=1)
    sell(1, 2, "50.00", days_ago(2), customer=2)
    sell(1, 3, "30.00", days_ago(2), customer=1)
    at = open_page("cohorts.py", ALICE)
    ways_below(at, "behind_cohort_cards").select("Back in month 1").run()
    assert "The rows of retention of all cohorts together, month 1" in words(at)
    assert "Orders 1 to 1 of 1, the newest first, by 1 customers." in words(at)
    again = open_page("cohorts.py", ALICE, rows_of=at.query_params["rows_of"], rows_at=at.query_params["rows_at"])
    assert "Orders 1 to 1 of 1" in words(again)
    at.button(key="close_behind").click().run()
    assert "The rows of" not in words(at) and not at.exception
    ways_below(at, "behind_cohort_cards").select("Back in month 1").run()
    assert "The rows of" in words(at)
    at = open_page("cohorts.py", ALICE, measure="Net sales per customer")
    ways_below(at, "lines").select("All cohorts together, month 0").run()
    assert net_together(at) == "$150.00"
    at = open_page("cohorts.py", ALICE, measure="Net sales per customer", cohorts_by="First channel")
    ways_below(at, "by_value").select("Online store (2), month 1").run()
    assert net_together(at) == "$180.00" and not at.exception


@pytest.mark.parametrize("asked", ["", "retention", "retention.x.", "margin.1.", "retention.1000.", "ltv.2.seven"])
def test_a_link_to_the_rows_of_nothing_opens_nothing(tables, asked):
    add_one_shop()
    sell(1, 1, "100.00", days_ago(3), customer=1)
    for of, by in (("card", "By month of first order"), ("product", "First product")):
        at = open_page("cohorts.py", ALICE, rows_of=of, rows_at=asked, cohorts_by=by)
        assert not at.exception and ("The rows of" in words(at)) == (of == "card" and asked == "ltv.2.seven")
