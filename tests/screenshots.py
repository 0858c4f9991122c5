"""Pictures of every page, light and dark, wide and on a phone: make screenshots.

The app runs with the demo in a folder of its own; its first sync is waited for, so the pictures show figures.
"""

import argparse
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, StorageState, expect, sync_playwright

from tests.browser.conftest import QUIET, RunningApp, chromium, open_page, running_app, settled
from tests.browser.test_whole_path import PAGES, sign_in, sync

LOOKS = tuple((scheme, width_px) for scheme in ("light", "dark") for width_px in (1440, 390))
# What is further down is not in the picture.
TALLEST_PX = 5000


def main() -> None:
    """Write <page>-<light or dark>-<width>.png of every page, or of those named, into the folder given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("pages", nargs="*")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data, running_app(Path(data)) as app, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=QUIET)
        for look in LOOKS:
            page = _visitor(browser, look)
            page.goto(app.url)
            expect(page.get_by_role("button", name="Sign in", exact=True)).to_be_visible()
            _picture(page, folder, "sign_in", look)
            page.context.close()
        page = _visitor(browser, LOOKS[0])
        sign_in(page, app, "alice")
        signed_in = page.context.storage_state()
        _pictures(browser, app, signed_in, folder, {"never_synced": ""})
        sync(page, app)
        _pictures(browser, app, signed_in, folder, {name or "overview": name for name in arguments.pages or PAGES})
        browser.close()


def _pictures(browser: Browser, app: RunningApp, signed_in: StorageState, folder: Path, pages: dict[str, str]) -> None:
    for look in LOOKS:
        page = _visitor(browser, look, signed_in)
        page.goto(app.url)
        settled(page)
        for name, path in pages.items():
            open_page(page, path)
            _picture(page, folder, name, look)
        page.context.close()


def _visitor(browser: Browser, look: tuple[str, int], signed_in: StorageState | None = None) -> Page:
    scheme, width_px = look
    context = browser.new_context(
        viewport={"width": width_px, "height": 900},
        color_scheme="dark" if scheme == "dark" else "light",
        locale="en-US",
        storage_state=signed_in,
    )
    context.set_default_timeout(30_000)
    return context.new_page()


def _picture(page: Page, folder: Path, name: str, look: tuple[str, int]) -> None:
    """All of the page, not only what fits on the screen: its own part scrolls, not the window."""
    scheme, width_px = look
    settled(page)
    height_px = page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")
    page.set_viewport_size({"width": width_px, "height": max(900, min(height_px + 20, TALLEST_PX))})
    page.wait_for_timeout(600)  # charts take their new size
    page.screenshot(path=folder / f"{name}-{scheme}-{width_px}.png")
    page.set_viewport_size({"width": width_px, "height": 900})


if __name__ == "__main__":
    main()
