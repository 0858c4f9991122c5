"""What a newcomer does in the first minutes, in a real browser: sign in, sync, read figures, pick dates."""

import re
import sqlite3
from contextlib import closing
from datetime import date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import RunningApp

pytestmark = pytest.mark.browser
NEW_YORK = ZoneInfo("America/New_York")
PAGES = (
    "", "sales", "orders", "date_filter", "products", "customers", "cohorts", "lifetime", "forecast", "checkouts",
    "reconcile", "goals", "board", "views", "sync", "stores", "team", "audit", "account",
)  # fmt: skip


def sign_in(page: Page, app: RunningApp, name: str, path: str = "") -> None:
    email, password = app.passwords[name]
    page.goto(f"{app.url}/{path}")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def card(page: Page, label: str) -> str:
    """The figure on the card with this label."""
    metric = page.get_by_test_id("stMetric").filter(has=page.get_by_text(label, exact=True)).first
    return metric.get_by_test_id("stMetricValue").inner_text().strip()


def ledger(app: RunningApp, start: date, end: date) -> dict[str, int]:
    """Sums over the ledger's own rows in cents, by the definitions and not by the app's code."""
    with sqlite3.connect(app.database) as connection:
        rows = connection.execute(
            """SELECT s.line_type, s.action_type, s.total_amount, s.tax_amount FROM sale s
               JOIN "order" o ON o.shop_id = s.shop_id AND o.id = s.order_id
               WHERE s.shop_id = 1 AND NOT o.test AND s.day BETWEEN ? AND ?""",
            (start.isoformat(), end.isoformat()),
        ).fetchall()
        (orders,) = connection.execute(
            'SELECT count(*) FROM "order" WHERE shop_id = 1 AND NOT test AND day BETWEEN ? AND ?',
            (start.isoformat(), end.isoformat()),
        ).fetchone()
    sold = [(total, tax) for line, _, total, tax in rows if line in ("PRODUCT", "ADJUSTMENT")]
    billed = [total for line, _, total, _ in rows if line not in ("GIFT_CARD", "TIP")]
    return {"net_sales": sum(total - tax for total, tax in sold), "total_sales": sum(billed), "orders": orders}


def dollars(cents: int) -> str:
    return f"${Decimal(cents) / 100:,.2f}"


def sync(page: Page, app: RunningApp) -> None:
    page.get_by_role("link", name="Sync", exact=True).click()
    page.get_by_role("button", name="Sync now").click()
    expect(page.get_by_text(re.compile("Last sync complete"))).to_be_visible(timeout=120_000)


def test_signed_out_there_is_only_the_sign_in_page_at_every_address(page: Page, app: RunningApp):
    for path in PAGES:
        page.goto(f"{app.url}/{path}")
        expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
        expect(page.get_by_test_id("stMetric")).to_have_count(0)
        expect(page.get_by_role("link", name="Overview")).to_have_count(0)


def test_a_wrong_password_says_so_and_opens_nothing(page: Page, app: RunningApp):
    page.goto(app.url)
    page.get_by_label("E-mail address").fill(app.passwords["alice"][0])
    page.get_by_label("Password", exact=True).fill("not her password")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_test_id("stAlert")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)


def test_a_sign_in_survives_a_reload_and_opens_further_tabs(page: Page, app: RunningApp):
    sign_in(page, app, "alice", "date_filter?by=Week")
    assert page.url.startswith(f"{app.url}/date_filter?") and "by=Week" in page.url
    page.reload()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    second = page.context.new_page()
    second.goto(f"{app.url}/customers")
    expect(second.get_by_text("Signed in as Alice")).to_be_visible()


def test_the_cookie_is_not_for_scripts_and_goes_with_the_session(page: Page, app: RunningApp):
    sign_in(page, app, "alice")
    (cookie,) = (each for each in page.context.cookies() if each["name"] == "shoptally_session")
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Lax", "/")
    assert cookie["value"] not in page.evaluate("document.cookie")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    assert "shoptally_session" not in {each["name"] for each in page.context.cookies()}
    page.context.add_cookies([cookie])  # somebody kept a copy
    page.reload()
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


def test_signing_out_in_one_tab_ends_the_other_and_the_next_user_stays_signed_in(page: Page, app: RunningApp):
    sign_in(page, app, "alice")
    second = page.context.new_page()
    second.goto(f"{app.url}/stores")
    expect(second.get_by_text("Signed in as Alice")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    second.get_by_role("link", name="Sync", exact=True).click()
    expect(second.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
    expect(second.get_by_text("Signed in as")).to_have_count(0)
    sign_in(second, app, "charlie")
    second.reload()
    expect(second.get_by_text("Signed in as Charlie")).to_be_visible()


def test_where_cookies_are_not_kept_the_tab_is_signed_in_until_it_is_reloaded(page: Page, app: RunningApp):
    page.route("**/auth/session", lambda route: route.fulfill(json={"signed_in": False}))
    sign_in(page, app, "alice")
    expect(page.get_by_text("It lasts until you reload or close this tab.")).to_be_visible()
    page.get_by_role("link", name="Stores").click()
    expect(page.get_by_role("heading", name="Stores")).to_be_visible()
    expect(page.get_by_text("Signed in as Alice")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()


def test_the_whole_path_from_sign_in_to_figures_that_equal_the_ledger(page: Page, app: RunningApp):
    sign_in(page, app, "alice")
    page.get_by_role("link", name="Sync", exact=True).click()
    page.get_by_role("button", name="Sync now").click()
    # Progress is seen, left, and come back to.
    expect(page.get_by_test_id("stProgress").first).to_be_visible()
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    page.get_by_role("link", name="Sync", exact=True).click()
    expect(page.get_by_text(re.compile("Last sync complete"))).to_be_visible(timeout=120_000)
    expect(page.get_by_role("heading", name="Past syncs")).to_be_visible()

    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page.get_by_role("heading", name="Top products")).to_be_visible()
    today = datetime.now(NEW_YORK).date()
    truth = ledger(app, today - timedelta(days=29), today)
    assert truth["orders"] > 100
    assert card(page, "Total sales") == dollars(truth["total_sales"])
    assert card(page, "Net sales") == dollars(truth["net_sales"])
    assert card(page, "Orders") == f"{truth['orders']:,}"
    expect(page.get_by_text(re.compile("Data as of"))).to_be_visible()


def test_a_click_while_a_sync_is_being_asked_for_is_not_lost(page: Page, app: RunningApp):
    sign_in(page, app, "alice", "sync")
    with closing(sqlite3.connect(app.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")  # the button waits for this writer
        page.get_by_role("button", name="Sync now").click()
        page.wait_for_timeout(1500)
        page.get_by_role("link", name="Customers").click()
        page.wait_for_timeout(1500)
        other.execute("ROLLBACK")
    expect(page.get_by_role("heading", name="Customers", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile("/customers"))


def test_a_link_reopens_a_range_of_the_date_filter_with_its_figures(page: Page, app: RunningApp):
    sign_in(page, app, "alice")
    sync(page, app)
    page.get_by_role("link", name="Date filter").click()
    page.get_by_role("button", name=re.compile("Last 30 days")).click()
    page.get_by_role("combobox", name=re.compile("Range")).click()
    page.get_by_role("option", name="Last month").click()
    expect(page).to_have_url(re.compile("range="))
    expect(page.get_by_test_id("stMetric").first).to_be_visible()
    link = page.url

    first = datetime.now(NEW_YORK).date().replace(day=1)
    end = first - timedelta(days=1)
    truth = ledger(app, end.replace(day=1), end)
    expect(page.get_by_text(dollars(truth["total_sales"])).first).to_be_visible()

    stranger = page.context.browser.new_context(locale="en-US")
    again = stranger.new_page()
    email, password = app.passwords["bob"]
    again.goto(link)
    again.get_by_label("E-mail address").fill(email)
    again.get_by_label("Password", exact=True).fill(password)
    again.get_by_role("button", name="Sign in", exact=True).click()
    expect(again.get_by_text(dollars(truth["total_sales"])).first).to_be_visible(timeout=30_000)
    assert card(again, "Total sales") == dollars(truth["total_sales"])
    stranger.close()


def test_charlie_cannot_see_alices_store_by_any_address(page: Page, app: RunningApp):
    sign_in(page, app, "charlie", "?shop=harbor-and-pine.myshopify.com")
    for path in PAGES:
        page.evaluate("path => history.pushState(null, '', path)", f"/{path}?shop=harbor-and-pine.myshopify.com")
        page.evaluate("window.dispatchEvent(new PopStateEvent('popstate'))")
        page.wait_for_timeout(1500)
        expect(page.get_by_role("button", name="Sign out", exact=True)).to_be_visible()
        text = page.locator("body").inner_text()
        assert "Harbor" not in text and "harbor-and-pine" not in text
        assert "Kiosk Berlin" in text
