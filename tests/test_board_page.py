"""My board: what is on it is what the other pages say, in the user's own order, and nobody else's."""

import io
import re
from datetime import date, timedelta

import openpyxl
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from core.analytics.breakdowns import BREAKDOWNS
from core.analytics.metrics import METRICS
from core.analytics.period import Period, shop_today
from core.auth.accounts import shops_of
from core.auth.boards import MOST, board_of, save_board
from core.auth.goals import set_goal
from core.reports.about import About, Store
from core.reports.workbook import workbook
from core.ui import board_file
from core.ui.board_view import KINDS, STARTING_SET, View, bar_rows, grouped, name_of
from tests.factories import add_user
from tests.test_pages import (
    ALICE,
    ALICES,
    BOB,
    CHARLIE,
    LONG,
    NAMES,
    add_shop,
    card,
    cast,
    everything,
    no_cache,
    open_page,
    sell,
    synced,
    tables,
    words,
)

__all__ = ["cast", "no_cache", "tables"]
EVERYTHING = [f"{kind.slug}:{thing}" for kind in KINDS for thing in kind.things]


def this_month() -> date:
    return shop_today("America/New_York").replace(day=1)


def fine(at: AppTest) -> AppTest:
    assert not at.exception and not at.error
    sent = " ".join(str(part.proto) for part in (*at.main, *at.sidebar) if part.type != "arrow_data_frame")
    assert not re.search(r"\bnan\b", sent.lower())
    return at


def press(at: AppTest, key: str) -> AppTest:
    at.button(key=key).click().run()
    assert not at.exception
    return at


def test_an_empty_board_is_filled_with_one_click(cast):
    at = open_page("board.py", ALICE)
    assert "Nobody else sees it." in at.info[0].value and not at.metric
    press(at, "board_start")
    assert board_of(ALICE, 1) == STARTING_SET and all(map(name_of, STARTING_SET))
    assert card(at, "Total sales") == "$165.00" and card(fine(at), "New customers") == "2"


def test_the_figures_are_those_of_the_overview(cast):
    cards = [f"card:{metric.slug}" for metric in METRICS]
    save_board(ALICE, 1, [*cards[:10], *cards[12:], "top:customers", "top:products"])
    ours, overview = open_page("board.py", ALICE), open_page("overview.py", ALICE)
    for metric in overview.metric:
        assert (metric.value, metric.delta) == next(
            (each.value, each.delta) for each in ours.metric if each.label == metric.label
        )
    assert len(ours.dataframe) == 2
    for mine in ours.dataframe:
        assert any(mine.value.equals(theirs.value) for theirs in overview.dataframe)


def test_every_table_adds_up_to_the_card(cast):
    save_board(ALICE, 1, ["card:net_sales", *(f"table:{of.slug}" for of in BREAKDOWNS)])
    at = open_page("board.py", ALICE)
    assert card(at, "Net sales") == "$150.00" and len(at.dataframe) == len(BREAKDOWNS)
    for table in at.dataframe:
        assert table.value.iloc[:-1]["Net sales"].sum() == table.value.iloc[-1]["Net sales"] == 150.0


@pytest.mark.parametrize("start", range(0, len(EVERYTHING), MOST))
def test_everything_that_can_be_on_a_board_is_drawn(cast, start):
    for slug in ("orders", "net_sales"):
        set_goal(1, ALICE, slug, this_month(), 7)
    save_board(ALICE, 1, EVERYTHING[start : start + MOST])
    fine(open_page("board.py", ALICE))


def test_items_are_moved_removed_and_added_and_stay_so(cast):
    save_board(ALICE, 1, ["card:orders", "trend:net_sales", "bars:channel"])
    at = press(open_page("board.py", ALICE), "board_edit_button")
    press(at, "board_up_bars:channel")
    assert board_of(ALICE, 1) == ("card:orders", "bars:channel", "trend:net_sales")
    press(at, "board_up_bars:channel")
    press(at, "board_down_card:orders")
    press(at, "board_remove_bars:channel")
    assert board_of(ALICE, 1) == ("trend:net_sales", "card:orders")
    at.selectbox(key="board_kind").select("table").run()
    at.selectbox(key="board_thing_table").select("table:vendor")
    press(at, "board_add")
    assert board_of(ALICE, 1) == ("trend:net_sales", "card:orders", "table:vendor")
    assert "table:vendor" not in at.selectbox(key="board_thing_table").options
    assert at.button(key="board_up_trend:net_sales").disabled and at.button(key="board_down_table:vendor").disabled
    press(at, "board_done")
    assert [metric.label for metric in fine(at).metric] == ["Orders"]
    assert len(open_page("board.py", ALICE).metric) == 1


def test_a_full_board_takes_no_more(cast):
    save_board(ALICE, 1, EVERYTHING[:MOST])
    at = press(open_page("board.py", ALICE), "board_edit_button")
    assert at.button(key="board_add").disabled
    assert f"A board has room for {MOST} items." in words(at)


@pytest.mark.parametrize(
    "slug", ["card:nothing", "hologram:orders", "card", "", ":", "goal:refund_rate", "**x**:[y](z)"]
)
def test_what_this_program_does_not_know_is_said_and_can_be_removed(cast, slug):
    save_board(ALICE, 1, ["card:orders", slug, "trend:orders"])
    at = fine(open_page("board.py", ALICE))
    assert card(at, "Orders") == "2" and f"No longer available: {slug}." in words(at)
    press(at, "board_edit_button")
    press(at, f"board_remove_{slug}")
    assert board_of(ALICE, 1) == ("card:orders", "trend:orders")


def sheets(items: list[str], days: int = 7) -> dict[str, list[tuple]]:
    """The Excel file of a board of Alice's store, sheet by sheet."""
    (shop,), today = shops_of(ALICE), shop_today("America/New_York")
    period = Period(today - timedelta(days=days - 1), today)
    view = View(shop, today, period, period.previous(), "Previous period")
    about = About(Store(1, shop.name, shop.domain, "USD", shop.time_zone, None), "My board", period, view.against)
    book = openpyxl.load_workbook(io.BytesIO(workbook(about, board_file.sheets(view, items))))
    return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book}


def test_the_file_has_a_sheet_for_each_item_in_the_boards_order(cast):
    set_goal(1, ALICE, "orders", this_month(), 7)
    items = ["trend:orders", "card:orders", "gone:x", "table:channel", "card:total_sales", "top:products",
             "bars:channel", "goal:orders", "goal:net_sales", "top:customers"]  # fmt: skip
    found = sheets(items)
    assert list(found) == ["About", "Orders by day", "Figures", "By channel", "Top products", "By channel 2",
                           "Goal Orders", "Goal Net sales", "Top customers"]  # fmt: skip
    assert [row[:2] for row in found["Figures"][1:]] == [("Orders", 2), ("Total sales", 165)]
    assert found["Orders by day"][-1][:2] == ("Total", 2) and len(found["Orders by day"]) == 9
    assert found["By channel"] == found["By channel 2"] and found["By channel"][-1][0] == "Total"
    assert found["Goal Orders"][1][1:] == ("Goal", 7)
    assert [row[2] for row in found["Goal Net sales"][1:]] == [None] * 6, "no goal is set"
    assert sum(row[-1] for row in found["Top products"][1:]) == 150


def test_everything_fits_into_one_file_whatever_was_sold(cast):
    found = sheets(EVERYTHING)
    assert len(found) == 2 + sum(not slug.startswith("card:") for slug in EVERYTHING)
    assert len(found["Figures"]) == 1 + len(METRICS) and len(sheets(EVERYTHING, days=1)) == len(found)


def test_a_board_is_exported_by_those_who_may(cast):
    add_user(9, "vera@example.com", 1, role="viewer")
    for somebody, may in ((ALICE, True), (9, False)):
        save_board(somebody, 1, ["card:orders"])
        assert bool(open_page("board.py", somebody).get("download_button")) is may
    save_board(ALICE, 1, ["gone:secret"])
    assert not open_page("board.py", ALICE).get("download_button")


def test_a_board_is_seen_by_its_owner_alone(cast):
    add_user(9, "vera@example.com", 1, role="viewer")
    save_board(ALICE, 1, ["card:tips", "gone:secret"])
    assert "Tips" in everything(at := open_page("board.py", ALICE)) and "secret" in everything(at)
    for somebody in (BOB, 9, CHARLIE):
        at = open_page("board.py", somebody, shop=ALICES)
        assert "Tips" not in everything(at) and "secret" not in everything(at)
        press(at, "board_start")
        assert board_of(ALICE, 1) == ("card:tips", "gone:secret")
    assert board_of(9, 1) == board_of(BOB, 1) == board_of(CHARLIE, 2) == STARTING_SET


def test_period_and_comparison_are_in_the_address(cast):
    sell(1, 3, "22.00", days_ago=10)
    save_board(ALICE, 1, ["card:orders", "trend:orders"])
    at = open_page("board.py", ALICE, range="Last 7 days", compare="Previous year")
    assert card(at, "Orders") == "2"
    assert at.selectbox(key="range").value == "Last 7 days" and at.selectbox(key="compare").value == "Previous year"
    assert card(open_page("board.py", ALICE), "Orders") == "3"


@pytest.mark.parametrize(
    "query",
    [{"range": "Custom", "dates": ["2999-01-01", "2999-02-01"]}, {"range": "Yesterday"}, {"range": "Nonsense"},
     {"range": "All time", "compare": "Nothing"}],
)  # fmt: skip
def test_any_address_opens_a_board(cast, query):
    save_board(ALICE, 1, STARTING_SET)
    assert "2999" not in words(fine(open_page("board.py", ALICE, **query)))


def test_goals_are_shown_even_where_nothing_was_sold_in_the_period(cast):
    set_goal(1, ALICE, "orders", this_month(), 7)
    save_board(ALICE, 1, ["goal:orders", "goal:net_sales"])
    at = fine(open_page("board.py", ALICE, range="Today"))
    assert [bar.proto.text.split(" of ")[1][0] for bar in at.get("progress")] == ["7"]
    assert "No goal is set for this month." in words(at)


@pytest.mark.parametrize(("currency", "total", "kind"), [("JPY", "1000", "PRODUCT"), ("KWD", "1.234", "PRODUCT"),
                                                        ("USD", "-10.00", "ADJUSTMENT")])  # fmt: skip
def test_one_order_in_any_currency_and_nothing_but_refunds(tables, currency, total, kind):
    add_shop(1, ALICES, currency, taxes_included=True, name=f"متجر {LONG}")
    add_user(ALICE, "alice@example.com", 1)
    sell(1, 1, total, days_ago=0, kind=kind, title=NAMES[0], name=LONG)
    save_board(ALICE, 1, STARTING_SET)
    fine(open_page("board.py", ALICE))


def test_a_store_without_orders_says_so(tables):
    add_shop(1, ALICES)
    add_user(ALICE, "alice@example.com", 1)
    synced(1, None)
    assert "The first sync brings" in open_page("board.py", ALICE).info[0].value


def test_bars_add_up_and_values_of_one_name_are_one_bar():
    frame = pd.DataFrame({"name": [f"n{i % 15}" for i in range(30)], "net_sales": range(30, 0, -1)})
    rows = bar_rows(frame)
    assert len(rows) == 10 and rows[-1][0] == "6 others"
    assert sum(net for _, net in rows) == frame["net_sales"].sum()
    assert bar_rows(frame.head(2)) == [("n0", 30), ("n1", 29)]


def test_cards_stand_in_a_row_and_all_others_by_two():
    items = ["card:orders", "card:tips", "trend:orders", "gone", "top:products", "card:nothing", "card:taxes"]
    assert grouped(items) == [
        ["card:orders", "card:tips"], ["trend:orders", "gone"], ["top:products", "card:nothing"], ["card:taxes"],
    ]  # fmt: skip
    assert grouped([]) == []
