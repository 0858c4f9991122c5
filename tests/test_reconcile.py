"""Our figures beside Shopify's: what differs is found, and explained only where the data bears it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx2
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from core import log
from core.__main__ import main
from core.analytics import frames_reconcile
from core.analytics.period import Period
from core.analytics.reconcile import (
    CAUSES,
    MEASURES,
    Comparison,
    Evidence,
    Known,
    LeftOut,
    compare,
    explain,
    explanations,
    is_explained,
    known_at,
    our_days,
    verdict,
)
from core.db.engine import shop_session, system_session
from core.db.models import DailySales, Order, QuarantinedRow, Shop, SyncState
from core.db.rollups import rebuild_all
from core.demo import server
from core.errors import AccessDenied, GarbageAnswer, InputError, LeaseLost, Throttled, TokenRejected, Unreachable
from core.sync import connect, reconcile
from tests import demo_sync
from tests import factories as make
from tests.conftest import empty
from tests.demo_http import HARBOR, KIOSK
from tests.demo_sync import ALICE, CHARLIE, Asked, Stage, add_demo_shops, changed_body, shop_row, stage_demo, sync
from tests.factories import add_shop, agreement, order, sale, store_orders

TODAY, FIRST = date(2026, 11, 20), date(2026, 10, 22)
SPAN = Period(FIRST, TODAY)
DAY = date(2026, 11, 18)
NOON = datetime(2026, 11, 18, 17, tzinfo=UTC)
ZEROS = dict.fromkeys((*MEASURES, "tips", "gift_card_sales", "unclassified"), 0)
KNOWN = Known(TODAY, "UTC", "UTC", datetime(2026, 11, 20, 12, tzinfo=UTC))


# Side by side


def two_days(**figures: int) -> dict[date, dict[str, int]]:
    """Both days of a tiny period, all zeros but for these figures of the second."""
    zeros = dict.fromkeys(MEASURES, 0)
    return {DAY - timedelta(days=1): zeros, DAY: zeros | figures}


def of(ours: dict[date, dict[str, int]], theirs: dict[date, dict[str, int]]) -> Comparison:
    frame = our_frame(ours)
    return compare(frame, theirs)


def our_frame(days: dict[date, dict[str, int]]) -> Any:
    """Figures as our_days() gives them."""
    return pd.DataFrame(list(days.values()), index=pd.Index(list(days), name="day", dtype=object))


def test_each_day_and_measure_stands_beside_shopifys_with_the_difference():
    found = of(two_days(net_sales=1000, orders=2), two_days(net_sales=1250, orders=2))
    assert len(found.rows) == 2 * len(MEASURES)
    assert found.differing == {DAY: {"net_sales": -250}}
    assert found.unanswered == frozenset()
    assert found.sum_of("net_sales", "ours") == 1000 and found.sum_of("net_sales", "theirs") == 1250


def test_what_shopify_does_not_answer_is_unknown_and_never_zero():
    theirs = two_days()
    del theirs[DAY]["taxes"], theirs[DAY - timedelta(days=1)]
    found = of(two_days(taxes=5), theirs)
    assert found.differing == {} and found.unanswered == {DAY, DAY - timedelta(days=1)}
    assert found.sum_of("taxes", "theirs") is None
    assert verdict(found, TODAY, "USD").text == "0 of 2 days agree to the cent"
    assert verdict(found, TODAY, "USD").rest == "Shopify's answer lacks figures of 2 days."


def test_only_the_measures_that_were_asked_for_are_compared():
    theirs = two_days(orders=1)
    found = compare(our_frame(two_days(orders=1, duties=9)), theirs, ("orders", "total_sales"))
    assert found.measures == ("orders", "total_sales") and found.differing == {}


@given(st.data())
def test_a_change_of_one_figure_is_found_and_nothing_else(data: st.DataObject):
    number = st.integers(-(10**9), 10**9)
    days = [DAY - timedelta(days=i) for i in range(data.draw(st.integers(1, 5)))]
    ours = {day: {slug: data.draw(number) for slug in MEASURES} for day in days}
    day, slug = data.draw(st.sampled_from(days)), data.draw(st.sampled_from(MEASURES))
    change = data.draw(number.filter(bool))
    theirs = ours | {day: ours[day] | {slug: ours[day][slug] + change}}
    assert of(ours, theirs).differing == {day: {slug: -change}}
    assert not verdict(of(ours, theirs), TODAY, "USD").agrees
    assert of(ours, ours).differing == {} and verdict(of(ours, ours), TODAY, "USD").agrees


@pytest.mark.parametrize(
    "figures, today, currency, text, rest, agrees",
    [
        ({}, TODAY, "USD", "2 of 2 days agree to the cent", "", True),
        ({}, TODAY, "KWD", "2 of 2 days agree exactly", "", True),
        ({}, TODAY, "JPY", "2 of 2 days agree exactly", "", True),
        ({"taxes": 1}, TODAY, "USD", "1 of 2 days agree to the cent", "", False),
        ({"taxes": 1}, DAY, "USD", "1 of 1 day agrees to the cent", "Today is not over yet and is left out.", True),
        ({}, DAY, "USD", "2 of 2 days agree to the cent", "", True),
        ({"taxes": 1}, DAY - timedelta(days=1), "USD", "1 of 1 day agrees to the cent", "Today is not over yet", True),
    ],
)
def test_the_verdict_counts_finished_days(figures, today, currency, text, rest, agrees):
    found = verdict(of(two_days(), two_days(**figures)), today, currency)
    assert (found.text, found.agrees) == (text, agrees) and found.rest.startswith(rest)


def test_where_only_today_was_compared_and_differs_nothing_is_claimed():
    today = {DAY: dict.fromkeys(MEASURES, 0)}
    found = verdict(of(today, {DAY: today[DAY] | {"orders": 1}}), DAY, "USD")
    assert (found.text, found.agrees) == ("No finished day was compared", False)


# What explains it

PLAIN = Evidence(DAY, {"total_sales": -500}, MEASURES, KNOWN, ZEROS)
SOLD = {"orders": 1, "gross_sales": 300, "net_sales": 300, "taxes": 20, "total_sales": 320}
LESS = {slug: -amount for slug, amount in SOLD.items()}
CASES: list[tuple[str, Evidence, str]] = [
    ("not_over", replace(PLAIN, known=replace(KNOWN, today=DAY)), "not over yet"),
    ("not_synced", replace(PLAIN, known=replace(KNOWN, synced_until=NOON)), "synced up to 17:00 on 2026-11-18"),
    ("not_synced", replace(PLAIN, known=replace(KNOWN, synced_until=None)), "never synced to their end"),
    ("before_history", replace(PLAIN, known=replace(KNOWN, history_from=DAY)), "no orders from before 2026-11-18"),
    ("other_zone", replace(PLAIN, known=replace(KNOWN, their_time_zone="Asia/Tokyo")), "follow Asia/Tokyo now"),
    ("left_out", replace(PLAIN, differences=LESS, left_out=[LeftOut("#7", False, SOLD)]), "exactly what order #7"),
    ("left_out", replace(PLAIN, differences=LESS, left_out=[LeftOut("#7", True, SOLD)]), "is a test"),
    (
        "left_out",
        replace(PLAIN, differences={k: 2 * v for k, v in LESS.items()}, left_out=[LeftOut("#7", False, SOLD)] * 2),
        "exactly what 2 orders come to that are deleted",
    ),
    ("tips", replace(PLAIN, sums=ZEROS | {"tips": 500}), "exactly the tips"),
    ("gift_cards", replace(PLAIN, sums=ZEROS | {"gift_card_sales": 500}), "exactly the gift cards"),
    (
        "gift_cards",
        replace(
            PLAIN,
            differences={"gross_sales": -500, "net_sales": -500, "total_sales": -500},
            sums=ZEROS | {"gift_card_sales": 500},
        ),
        "exactly the gift cards",
    ),
    ("extras", replace(PLAIN, differences={"total_sales": 70}, sums=ZEROS | {"duties": 70}), "exactly the duties"),
    (
        "extras",
        replace(PLAIN, differences={"return_fees": 70, "total_sales": 70}, sums=ZEROS | {"return_fees": 70}),
        "exactly the return fees",
    ),
    (
        "returns_of_older",
        replace(PLAIN, differences={"net_sales": 9}, known=replace(KNOWN, history_from=FIRST)),
        "from before 2026-10-22",
    ),
    ("set_aside", replace(PLAIN, set_aside=2), "2 orders of this day set aside"),
    ("set_aside", replace(PLAIN, set_aside_somewhere=1), "1 order set aside whose day is not known"),
    ("unclassified", replace(PLAIN, sums=ZEROS | {"unclassified": 1}), "1 sale of a type that is new"),
    ("derived", replace(PLAIN, derived=3), "3 orders of this day without a ledger"),
]  # fmt: skip


@pytest.mark.parametrize("cause, evidence, said", CASES, ids=[f"{c}-{i}" for i, (c, _, _) in enumerate(CASES)])
def test_each_cause_is_told_where_the_data_bears_it(cause: str, evidence: Evidence, said: str):
    (found,) = explanations(evidence)
    assert found.cause == cause and said in found.text
    assert is_explained([found]) is next(one.sure for one in CAUSES if one.slug == cause)


def test_every_cause_has_its_case_and_none_applies_to_a_plain_day():
    assert {cause for cause, _, _ in CASES} == {cause.slug for cause in CAUSES}
    assert explanations(PLAIN) == ()


@pytest.mark.parametrize(
    "evidence",
    [
        replace(PLAIN, sums=ZEROS | {"tips": 499}),
        replace(PLAIN, differences={"total_sales": -500, "taxes": 1}, sums=ZEROS | {"tips": 500}),
        replace(PLAIN, differences=LESS | {"taxes": 1}, left_out=[LeftOut("#7", False, SOLD)]),
        replace(PLAIN, differences=SOLD, left_out=[LeftOut("#7", False, SOLD)]),
        replace(PLAIN, known=replace(KNOWN, synced_until=datetime(2026, 11, 19, tzinfo=UTC))),
        replace(PLAIN, differences={"orders": 1}, known=replace(KNOWN, history_from=FIRST)),
    ],
)
def test_what_comes_close_is_not_claimed(evidence: Evidence):
    assert explanations(evidence) == ()


def test_a_sure_cause_stands_alone_and_a_guess_only_where_there_is_none():
    both = replace(PLAIN, sums=ZEROS | {"tips": 500}, derived=1)
    assert [found.cause for found in explanations(both)] == ["tips"]


def test_an_amount_explains_only_in_the_measures_that_were_compared():
    evidence = replace(
        PLAIN, measures=("orders", "total_sales"), differences={"orders": -1, "total_sales": -320},
        left_out=[LeftOut("#7", False, SOLD)],
    )  # fmt: skip
    assert explanations(evidence)[0].cause == "left_out"


# From the tables


def a_shop_with_everything_left_out() -> None:
    """On 18 November: one order that counts, a deleted one, a test, one without a ledger, one of an unknown type."""
    shop = add_shop(1, time_zone="UTC")
    bought = [agreement(NOON, sale("11.00", tax="1.00")) for _ in range(5)]
    odd = agreement(NOON, sale("2.00", line="LOYALTY"))
    store_orders(
        shop,
        order(1, NOON, bought[0], currentTotalPriceSet=make.bag("11.0"), originalTotalPriceSet=make.bag("11.0")),
        order(2, NOON, bought[1]),
        order(3, NOON, bought[2], test=True),
        order(4, NOON),
        order(5, NOON, odd),
        # Placed the day before and returned on the 18th.
        order(6, NOON - timedelta(days=1), bought[3], agreement(NOON, sale("-11.00", tax="-1.00", action="RETURN"))),
    )
    add_shop(2, time_zone="UTC")
    with shop_session(1, write=True) as session:
        for number in (2, 6):
            session.get_one(Order, (1, number)).deleted_at = NOON
        session.flush()
        rebuild_all(session)
        for key in ("orders/4", "orders/99", "orders/x", "products/4"):
            row = QuarantinedRow(
                shop_id=1, key=key, stream=key.split("/")[0], reason="x", payload_hash="x", seen_at=NOON
            )
            session.add(row)


def test_what_may_explain_a_day_is_read_from_the_tables(database: Engine):
    a_shop_with_everything_left_out()
    days = [DAY - timedelta(days=1), DAY]
    with shop_session(1) as session:
        orders = frames_reconcile.left_out(session, days).sort_values(["day", "order_id"]).to_dict("records")
        derived = frames_reconcile.derived_orders(session, days).to_dict("records")
        aside = frames_reconcile.set_aside_orders(session)
    told = [(row["day"], row["name"], row["test"], row["orders"], row["net_sales"], row["taxes"]) for row in orders]
    assert told == [
        (days[0], "#6", False, 1, 1000, 100),
        (DAY, "#2", False, 1, 1000, 100),
        (DAY, "#3", True, 1, 1000, 100),
        (DAY, "#6", False, 0, -1000, -100),
    ]
    assert derived == [{"day": DAY, "orders": 1}]
    assert sorted(aside["day"].dropna()) == [DAY] and int(aside["day"].isna().sum()) == 2
    with shop_session(2) as session:
        assert frames_reconcile.left_out(session, days).empty and frames_reconcile.set_aside_orders(session).empty
        assert explain(session, of(two_days(), two_days()), KNOWN) == {}


def test_a_deleted_order_that_shopify_still_reports_is_named(database: Engine):
    a_shop_with_everything_left_out()
    with shop_session(1) as session:
        ours = our_days(session, Period(DAY, DAY))
        more = {"orders": 1, "gross_sales": 1000, "net_sales": 1000, "taxes": 100, "total_sales": 1100}
        theirs = {DAY: {slug: int(ours.loc[DAY][slug]) + more.get(slug, 0) for slug in MEASURES}}
        found = explain(session, compare(ours, theirs), KNOWN)
        assert "exactly what order #2 comes to" in found[DAY][0].text
        theirs[DAY]["taxes"] += 1
        guesses = explain(session, compare(ours, theirs), KNOWN)[DAY]
    assert [one.cause for one in guesses] == ["set_aside", "unclassified", "derived"] and not is_explained(guesses)


def test_an_order_whose_ledger_does_not_add_up_to_shopifys_totals_is_found(database: Engine):
    a_shop_with_everything_left_out()
    with shop_session(1) as session:
        found, checked = frames_reconcile.unbalanced_orders(session, Period(DAY, DAY), 10)
    assert checked == 3  # without the deleted and the test order
    (row,) = found.to_dict("records")
    assert (row["name"], row["booked"], row["current_total"], row["booked_at_first"]) == ("#5", 200, 0, 200)
    with shop_session(2) as session:
        assert frames_reconcile.unbalanced_orders(session, Period(DAY, DAY), 10)[1] == 0


# Asking Shopify, played by the demo stores


@pytest.fixture
def stage(database: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(demo_sync, "_ANSWERS", {})  # a store that says two things must not be remembered
    add_demo_shops()
    yield stage_demo(monkeypatch)
    empty(database)


def compared(shop_id: int = ALICE, span: Period = SPAN) -> Comparison:
    theirs = reconcile.fetch(shop_id, span.start, span.end)
    with shop_session(shop_id) as session:
        return compare(our_days(session, span), theirs.days, theirs.measures)


def test_the_demo_stores_agree_to_the_cent_and_one_altered_order_is_found_with_its_day_and_measures(
    stage: Stage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(log, "configure", lambda *_: None)
    for shop_id in (ALICE, CHARLIE):
        sync(shop_id)
        span = Period(stage.opened_on, TODAY)
        found = verdict(compared(shop_id, span), TODAY, "USD")
        assert found.text == f"{span.days} of {span.days} days agree to the cent"
    words = ["reconcile", "--shop", HARBOR.domain, "--from", str(FIRST), "--to", str(TODAY)]
    capsys.readouterr()
    assert main(words) == 0
    assert capsys.readouterr().out == "30 of 30 days agree to the cent.\n"

    place = server._place(HARBOR, stage.opened_on)
    orders = place.store.history.orders
    number, old = next(
        (i, one) for i, one in enumerate(orders)
        if one.created_at == one.processed_at and one.created_at.date() == date(2026, 11, 12) and not one.test
        and len(one.agreements) == 1 and one.agreements[0].sales[0].line_type == "PRODUCT"
    )  # fmt: skip
    first, *rest = old.agreements[0].sales
    dearer = replace(first, amounts=first.amounts._replace(total=first.amounts.total + 100))
    orders[number] = replace(old, agreements=(replace(old.agreements[0], sales=(dearer, *rest)),))
    place.store.last = None
    demo_sync._ANSWERS.clear()

    day = old.processed_at.astimezone(HARBOR.zone).date()
    assert compared().differing == {day: {"gross_sales": -100, "net_sales": -100, "total_sales": -100}}
    assert main(words) == 1
    out = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in out[:3]] == [
        [str(day), slug] for slug in ("gross_sales", "net_sales", "total_sales")
    ]
    assert out[0].endswith("difference        -1.00") and out[3] == f"{day}  Unexplained."
    assert out[-1] == "29 of 30 days agree to the cent."


def answered(stage: Stage, change: Any) -> None:
    """From now on the report is changed so."""
    stage.after = lambda asked, response: changed_body(response, change) if asked.about("SalesReport") else response


def without_scope(asked: Asked, response: httpx2.Response) -> httpx2.Response:
    def withhold(body: dict[str, Any]) -> None:
        scopes = body["data"]["currentAppInstallation"]["accessScopes"]
        scopes[:] = [scope for scope in scopes if scope["handle"] != "read_reports"]

    return changed_body(response, withhold) if asked.about("Shop") else response


def test_without_read_reports_the_sync_is_whole_and_granting_it_reads_nothing_anew(stage: Stage):
    stage.after = without_scope
    assert sync().outcome == "ok"
    assert not reconcile.may_ask(ALICE)
    stage.tell_truth()
    assert sync().outcome == "ok"
    assert reconcile.may_ask(ALICE)
    assert stage.read_by_bulk() == ["inventoryItems"], "the stock is read whole each time, nothing else"


def test_access_denied_is_told_as_such(stage: Stage):
    def deny(body: dict[str, Any]) -> None:
        body["data"]["shopifyqlQuery"] = None
        body["errors"] = [{"message": "Access denied for shopifyqlQuery field.", "path": ["shopifyqlQuery"],
                           "extensions": {"code": "ACCESS_DENIED"}}]  # fmt: skip

    answered(stage, deny)
    with pytest.raises(AccessDenied, match="shopifyqlQuery"):
        reconcile.fetch(ALICE, FIRST, TODAY)


def test_a_refused_token_ends_the_asking_as_in_a_sync(stage: Stage):
    stage.instead = lambda _: httpx2.Response(401, json={"errors": "no"})
    with pytest.raises(TokenRejected):
        reconcile.fetch(ALICE, FIRST, TODAY)
    assert shop_row().reauth_since is not None
    asked = len(stage.asked)
    with pytest.raises(TokenRejected, match="Connect the store again"):
        reconcile.fetch(ALICE, FIRST, TODAY)
    assert len(stage.asked) == asked, "nothing goes out any more"


def test_a_disconnected_store_is_not_asked(stage: Stage):
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).token = ""
    with pytest.raises(LeaseLost, match="was disconnected"):
        reconcile.fetch(ALICE, FIRST, TODAY)
    assert stage.asked == []


def broken(_: Asked) -> httpx2.Response:
    raise httpx2.ReadTimeout("too slow")


def busy(_: Asked) -> httpx2.Response:
    return httpx2.Response(429, headers={"Retry-After": "30"}, json={})


@pytest.mark.parametrize("instead, error", [(broken, Unreachable), (busy, Throttled)])
def test_who_waits_at_the_screen_waits_no_longer_than_the_patience(stage: Stage, instead: Any, error: type[Exception]):
    stage.instead = instead
    with pytest.raises(error):
        reconcile.fetch(ALICE, FIRST, TODAY)
    assert stage.slept_s <= reconcile.PATIENCE_S


def test_a_short_fault_passes(stage: Stage):
    faults = iter([httpx2.Response(503, json={})])
    stage.instead = lambda _: next(faults, None)
    assert reconcile.fetch(ALICE, FIRST, TODAY).currency == "USD"


def test_figures_in_another_currency_are_not_compared(stage: Stage):
    answered(stage, lambda body: body["data"]["shop"].update(currencyCode="EUR"))
    with pytest.raises(InputError, match="currency is EUR now"):
        reconcile.fetch(ALICE, FIRST, TODAY)


def test_another_time_zone_is_told(stage: Stage):
    answered(stage, lambda body: body["data"]["shop"].update(ianaTimezone="Asia/Tokyo"))
    theirs = reconcile.fetch(ALICE, FIRST, TODAY)
    assert (theirs.stored_zone, theirs.time_zone) == ("America/New_York", "Asia/Tokyo")


@pytest.mark.parametrize("cell, minor", [("12.30", 1230), ("-0.1", -10), (0.30000000000000004, 30), (-7, -700)])
def test_amounts_are_read_to_the_minor_unit(stage: Stage, cell: Any, minor: int):
    answered(stage, lambda body: body["data"]["shopifyqlQuery"]["tableData"]["rows"][0].update(taxes=cell))
    assert reconcile.fetch(ALICE, FIRST, TODAY).days[FIRST]["taxes"] == minor


@pytest.mark.parametrize("column, cell", [("taxes", "12.345"), ("orders", "1.5"), ("taxes", "99999999999999999")])
def test_an_amount_that_is_none_is_an_error_and_not_rounded(stage: Stage, column: str, cell: str):
    answered(stage, lambda body: body["data"]["shopifyqlQuery"]["tableData"]["rows"][0].update({column: cell}))
    with pytest.raises(GarbageAnswer, match=cell):
        reconcile.fetch(ALICE, FIRST, TODAY)


def test_orders_are_read_up_to_the_start_of_the_last_run_and_from_where_the_token_sees_them(stage: Stage):
    assert reconcile.orders_read(ALICE) == (None, None)
    run = sync()
    seen = datetime(2026, 1, 1, tzinfo=UTC)
    set_orders(synced_until=seen)
    assert reconcile.orders_read(ALICE) == (run.started_at, None)
    set_orders(history_from=NOON, failures=1)
    with system_session(write=True) as session:
        session.get_one(Shop, ALICE).scopes = "read_orders"
    assert reconcile.orders_read(ALICE) == (seen, NOON)


def set_orders(**columns: Any) -> None:
    """Change the orders' row of the queue."""
    with system_session(write=True) as session:
        row = session.get_one(SyncState, (ALICE, "orders"))
        for name, value in columns.items():
            setattr(row, name, value)


def test_days_are_those_of_the_store_when_shopify_was_asked():
    known = known_at(NOON, "Asia/Tokyo", "UTC", None, NOON)
    assert known.today == known.history_from == date(2026, 11, 19)


def test_a_store_of_others_is_asked_with_its_own_token_only(stage: Stage):
    theirs = reconcile.fetch(CHARLIE, FIRST, TODAY)
    assert theirs.currency == KIOSK.currency and all(KIOSK.domain in asked.address for asked in stage.asked)
    assert connect.find_shop(KIOSK.domain) == CHARLIE
    with shop_session(ALICE) as session:
        assert session.get(DailySales, (CHARLIE, FIRST)) is None
