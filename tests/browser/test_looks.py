"""What pages look like to who cannot see them well, uses a keyboard or a phone, loses the connection, or is new here.

One app for the file, whose store gets a hundred orders as a sync would write them.
"""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from openpyxl import load_workbook
from playwright.sync_api import Browser, Page, expect
from sqlmodel import select

from core import config
from core.db.engine import get_engine, shop_session, system_session
from core.db.models import Order, Shop
from tests import factories as make
from tests.browser.conftest import RunningApp, open_page, running_app, settled
from tests.browser.test_whole_path import PAGES, card, sign_in
from tests.ports import free_port
from tests.test_pages import synced

pytestmark = pytest.mark.browser

# (rule, part of the element's source or selector, why it is not ours to mend): what Streamlit draws so.
NOT_OURS = (
    ("list", "stSidebarNavItems", "the menu's list holds its sections in div elements"),
    ("listitem", "<li class=", "the menu's entries stand in those div elements"),
    ("svg-img-alt", "metric_chart_", "the line of a card is named by the card, and its points have no names"),
    ("color-contrast", 'data-selected="true"', "the button chosen of several is written in the primary colour on a tint"
     " of itself; no blue on a dark page is 4.5:1 there and under the white text of buttons; it has an outline too"),
)  # fmt: skip
RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa")


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningApp, Callable[[], None]]]:
    """The app, and what stops it and starts it again at the same address."""
    data_dir, port = tmp_path_factory.mktemp("data"), free_port()
    with ExitStack() as stack:
        app = stack.enter_context(running_app(data_dir, port))

        def restart() -> None:
            stack.pop_all().close()
            stack.enter_context(running_app(data_dir, port))

        yield app, restart


@pytest.fixture
def app(started: tuple[RunningApp, Callable[[], None]], monkeypatch: pytest.MonkeyPatch) -> RunningApp:
    """The app; this process reads and writes what it does."""
    monkeypatch.setenv("DATA_DIR", str(started[0].data_dir))
    monkeypatch.delenv("APP_ENCRYPTION_KEYS")
    config.get_settings.cache_clear()
    get_engine.cache_clear()
    return started[0]


@pytest.fixture
def filled(app: RunningApp) -> RunningApp:
    """The app, whose first store has a hundred orders of sixty days."""
    with shop_session(1) as session:
        there = session.exec(select(Order.id).limit(1)).first()
    if there is None:
        now = datetime.now(UTC)
        make.store_orders(
            make.context(1), *(order(number, now - timedelta(hours=14 * number)) for number in range(100))
        )
        synced(1, now)
    return app


def order(number: int, when: datetime) -> dict[str, object]:
    lines = [make.line_item(1000 + number, product=1 + number % 7, title=f"Product {number % 7}")]
    bought = make.sale(f"{20 + number}.50", tax="1.5", line_item=1000 + number)
    return make.order(1000 + number, when, make.agreement(when, bought), customer=1 + number % 30, lines=lines)


def phone(browser: Browser, page: Page) -> Page:
    """The same visitor on a phone."""
    context = browser.new_context(
        viewport={"width": 390, "height": 844}, locale="en-US", storage_state=page.context.storage_state()
    )
    context.set_default_timeout(30_000)
    return context.new_page()


def problems(page: Page, rules: tuple[str, ...] = RULES) -> list[str]:
    """Serious and critical violations that are ours, each with its element."""
    kind = "tag" if rules is RULES else "rule"
    found = page.evaluate(
        "([kind, values]) => axe.run({runOnly: {type: kind, values}, resultTypes: ['violations']})", [kind, rules]
    )
    told = [
        (violation["id"], f"{node['html']} {node['target']} {node['failureSummary']}")
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]
    return [
        f"{rule}: {text}"
        for rule, text in told
        if not any(rule == theirs and part in text for theirs, part, _ in NOT_OURS)
    ]


# Of each part of the page that is wider than it may be; tables and code scroll inside of themselves.
TOO_WIDE = """() => {
    const wide = document.querySelector('[data-testid=stMain]').scrollWidth > innerWidth ? ['the page'] : [];
    for (const part of document.querySelectorAll('[data-testid=stMain] [data-testid]')) {
        const box = part.getBoundingClientRect();
        const scrolls = part.closest('[data-testid=stDataFrame], [data-testid=stTable]');
        if (box.width && box.right > innerWidth + 1 && !scrolls) wide.push(part.dataset.testid);
    }
    const whole = '[data-testid=stMetricLabel] *, [data-testid=stMetricDelta], [data-testid=stMetricValue] *';
    for (const text of document.querySelectorAll(whole))
        if (text.scrollWidth > text.clientWidth + 1 && getComputedStyle(text).textOverflow === 'ellipsis')
            wide.push(`cut off: ${text.innerText}`);
    return wide;
}"""


def test_a_newcomer_is_one_click_from_the_demo_and_one_from_its_first_sync(page: Page, app: RunningApp):
    page.goto(app.url)
    expect(page.get_by_text("in numbers that agree with Shopify's own")).to_be_visible()
    page.get_by_role("button", name="Look around in the demo").click()
    expect(page.get_by_text("Signed in as Alice")).to_be_visible()
    expect(page.get_by_text("Never synced")).to_be_visible()
    expect(page.get_by_role("button", name="Sync now")).to_be_visible()


def test_the_tour_goes_on_step_by_step_and_does_not_come_back_once_closed(page: Page, filled: RunningApp):
    sign_in(page, filled, "alice")
    expect(page.get_by_text("Every figure explains itself")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_text("Every figure opens")).to_be_visible()
    page.get_by_role("button", name="Close the tour").click()
    expect(page.get_by_text("Every figure opens")).to_have_count(0)
    open_page(page, "stores")
    open_page(page, "")
    expect(page.get_by_test_id("stMetric").first).to_be_visible()
    expect(page.get_by_text("Every figure explains itself")).to_have_count(0)
    page.reload()
    expect(page.get_by_test_id("stMetric").first).to_be_visible()
    expect(page.get_by_text("Every figure explains itself")).to_have_count(0)


def test_every_page_fits_a_phone_and_has_no_serious_violation_in_light_and_dark(
    page: Page, browser: Browser, filled: RunningApp
):
    axe = Axe().axe_script
    page.goto(filled.url)
    page.evaluate(axe)
    assert problems(page) == []
    page.emulate_media(color_scheme="dark")
    assert problems(page) == []
    page.emulate_media(color_scheme="light")
    sign_in(page, filled, "alice")
    settled(page)
    page.evaluate(axe)
    assert problems(page) == []  # on a phone the menu is folded away

    small = phone(browser, page)
    small.goto(filled.url)
    settled(small)
    small.evaluate(axe)
    small.add_style_tag(content="* { transition: none !important; }")  # colours are read at once after the change
    wide, light, dark = {}, {}, {}
    for name in PAGES:
        open_page(small, name)
        wide[name], light[name] = small.evaluate(TOO_WIDE), problems(small)
        small.emulate_media(color_scheme="dark")
        small.wait_for_function("matchMedia('(prefers-color-scheme: dark)').matches")
        dark[name] = problems(small, ("color-contrast",))
        small.emulate_media(color_scheme="light")
    small.context.close()
    for found in (wide, light, dark):
        assert {name: told for name, told in found.items() if told} == {}


# Whether the element with the focus looks otherwise than without it; one of those around it may show that instead.
LOOKS = """() => {
    const looks = [];
    for (let at = document.activeElement, up = 0; at && up < 4; at = at.parentElement, up++) {
        const style = getComputedStyle(at);
        looks.push([style.outline, style.boxShadow, style.borderColor, style.backgroundColor, style.color].join());
    }
    return looks.join('|');
}"""


def reached(page: Page, names: tuple[str, ...], at_most: int = 90) -> None:
    """Press Tab until each of these was focused, in this order, and looked it."""
    for name in names:
        for _ in range(at_most):
            page.keyboard.press("Tab")
            known = page.evaluate(
                "() => { const at = document.activeElement, own = at.matches('a, button, [role=radio]');"
                " return `${at.ariaLabel || ''} ${at.labels?.[0]?.innerText || ''} ${own ? at.innerText : ''}`; }"
            )
            if re.search(rf"\b{re.escape(name)}\b", known):
                break
        else:
            pytest.fail(f"Tab does not reach {name}")
        page.wait_for_timeout(200)  # colours fade in
        focused = page.evaluate(LOOKS)
        page.evaluate("() => { window.held = document.activeElement; held.blur(); }")
        page.wait_for_timeout(200)
        blurred = page.evaluate(LOOKS.replace("document.activeElement", "window.held"))
        assert focused != blurred, f"{name} does not show that it has the focus"
        page.evaluate("held.focus()")


def test_tab_reaches_the_sign_in_form_the_menu_the_filters_and_sync_now(page: Page, filled: RunningApp):
    page.goto(filled.url)
    expect(page.get_by_role("button", name="Look around in the demo")).to_be_visible()
    settled(page)
    reached(page, ("Look around in the demo", "E-mail address", "Password", "Sign in"))
    email, password = filled.passwords["alice"]
    page.get_by_label("E-mail address").focus()
    page.keyboard.type(email)
    page.keyboard.press("Tab")
    page.keyboard.type(password)
    page.keyboard.press("Enter")
    expect(page.get_by_text("Signed in as Alice")).to_be_visible()
    settled(page)
    reached(page, ("Overview", "Sync", "Account", "Store", "Sign out", "30 days", "Filters", "Export"))
    open_page(page, "sync")
    reached(page, ("Sync now",))


def test_the_figures_of_an_exported_workbook_are_those_of_the_page(page: Page, filled: RunningApp):
    sign_in(page, filled, "alice")
    page.get_by_role("button", name="Export").first.click()
    with page.expect_download() as waiting:
        page.get_by_test_id("stPopoverBody").get_by_role("button", name="Excel", exact=True).click()
    book = load_workbook(io.BytesIO(Path(waiting.value.path()).read_bytes()))
    rows = [row for sheet in book.worksheets for row in sheet.iter_rows(values_only=True)]
    told = {row[0]: row[1] for row in rows if row[0] in ("Total sales", "Net sales", "Orders")}
    assert {name: f"${value:,.2f}" if name != "Orders" else f"{value:,}" for name, value in told.items()} == {
        name: card(page, name) for name in ("Total sales", "Net sales", "Orders")
    }


def test_reload_and_back_show_what_was_there(page: Page, filled: RunningApp):
    sign_in(page, filled, "alice", "?period=90+days")
    expect(page.get_by_test_id("stMetric").first).to_be_visible()
    settled(page)
    address, orders = page.url, card(page, "Orders")
    page.reload()
    expect(page.get_by_test_id("stMetric").first).to_be_visible()
    settled(page)
    assert (page.url, card(page, "Orders"), orders) == (address, "100", "100")
    page.get_by_role("link", name="Customers", exact=True).click()
    expect(page).to_have_title(re.compile("Customers"))
    settled(page)
    for _ in range(8):  # Streamlit adds an entry to the history for each widget that writes itself into the address
        page.go_back()
        settled(page)
        if page.url == address:
            break
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    assert (page.url, card(page, "Orders")) == (address, "100")


def test_a_new_order_shows_by_itself_to_its_store_and_to_no_other(page: Page, browser: Browser, filled: RunningApp):
    sign_in(page, filled, "alice")
    other = browser.new_context(locale="en-US").new_page()
    sign_in(other, filled, "charlie")
    expect(other.get_by_text("Never synced")).to_be_visible()
    expect(page.get_by_test_id("stMetric").first).to_be_visible()
    settled(page)
    before = int(card(page, "Orders").replace(",", ""))
    number = 2000 + before
    make.store_orders(make.context(1), order(number, datetime.now(UTC)))
    with system_session(write=True) as session:
        session.get_one(Shop, 1).data_version += 1
    expect(page.get_by_text("Updated just now")).to_be_visible()
    settled(page)
    assert int(card(page, "Orders").replace(",", "")) == before + 1
    assert "Harbor" not in other.locator("body").inner_text()
    expect(other.get_by_text("Updated just now")).to_have_count(0)
    other.context.close()


def test_a_page_comes_back_by_itself_when_the_server_was_gone(
    browser: Browser, filled: RunningApp, started: tuple[RunningApp, Callable[[], None]]
):
    # Errors in the console are what a lost connection is.
    context = browser.new_context(locale="en-US")
    context.set_default_timeout(60_000)
    page = context.new_page()
    sign_in(page, filled, "alice")
    expect(page.get_by_test_id("stMetric").first).to_be_visible()
    settled(page)
    orders = card(page, "Orders")
    started[1]()
    page.get_by_role("link", name="Stores", exact=True).click()
    expect(page.get_by_role("heading", name="Stores", exact=True)).to_be_visible(timeout=60_000)
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page.get_by_test_id("stMetric").first).to_be_visible()
    settled(page)
    assert card(page, "Orders") == orders
    context.close()
