"""Installing the app in a real browser: from Shopify through the sign-in, its consent page, and back to a store."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from core.demo.install import DemoApp, signed
from core.demo.server import utc_now
from tests.browser.conftest import ROOT, RunningApp, running_app, unfold
from tests.demo_http import HARBOR, KIOSK, serve_demo
from tests.ports import free_port

pytestmark = pytest.mark.browser
SECRET = "client-secret-of-the-app"
EMAIL, PASSWORD = "ana@example.com", "a sentence that nobody guesses"


@pytest.fixture(scope="module")
def installable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningApp, DemoApp]]:
    """The app without demo stores, a user without a store, and a Shopify that asks merchants first."""
    port, data_dir = free_port(), tmp_path_factory.mktemp("install")
    shopify = DemoApp("client-id", SECRET, (f"http://localhost:{port}/shopify/callback",))
    with serve_demo((utc_now() - timedelta(days=40)).date(), utc_now, shopify) as base_url:
        settings = {
            "DEMO": "0", "SHOPIFY_BASE_URL": f"{base_url}/{{shop}}", "SHOPIFY_API_KEY": "client-id",
            "SHOPIFY_API_SECRET": SECRET, "APP_URL": f"http://localhost:{port}",
        }  # fmt: skip
        with running_app(data_dir, port, **settings) as app:
            add_user(data_dir)
            yield app, shopify


def add_user(data_dir: Path) -> None:
    kept = {key: value for key, value in os.environ.items() if key != "DATABASE_URL"}
    subprocess.run(
        [sys.executable, "-m", "core", "user", "add", "--email", EMAIL, "--name", "Ana", "--password-stdin"],
        cwd=ROOT, env={**kept, "DATA_DIR": str(data_dir)}, input=PASSWORD, check=True, capture_output=True, text=True,
    )  # fmt: skip


def test_a_merchant_installs_the_app_and_sees_the_store(page: Page, installable: tuple[RunningApp, DemoApp]):
    app, shopify = installable
    visited: list[str] = []
    page.on("framenavigated", lambda frame: visited.append(frame.url))
    given = {"shop": HARBOR.domain, "timestamp": str(int(time.time())), "host": "YWRtaW4"}
    page.goto(f"{app.url}/?{signed(given, SECRET)}")
    expect(page.get_by_text(f"Sign in to connect {HARBOR.domain}")).to_be_visible(timeout=30_000)
    assert "hmac" not in page.url
    page.get_by_label("E-mail address").fill(EMAIL)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    page.get_by_role("button", name="Go on to Shopify").click()

    expect(page.get_by_role("heading", name="Install Shoptally?")).to_be_visible()
    expect(page.get_by_text("read_orders")).to_be_visible()
    page.get_by_role("link", name="Install app").click()
    expect(page.get_by_text(f"{HARBOR.name} is connected")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("heading", name="Sync", exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(rf"^{app.url}/sync\?shop={re.escape(HARBOR.domain)}$"))
    expect(page.get_by_text("Last sync complete")).to_be_visible(timeout=90_000)
    page.get_by_role("link", name="Overview", exact=True).click()
    expect(page.get_by_test_id("stMetric").first).to_contain_text("$", timeout=30_000)

    page.get_by_role("link", name="Stores", exact=True).click()
    unfold(page, "Connect a store")
    page.get_by_label("Store address").first.fill(KIOSK.domain)
    page.get_by_role("button", name="Connect with Shopify").click()
    page.get_by_role("link", name="Cancel").click()
    expect(page.get_by_text("Shopify was told not to give access")).to_be_visible(timeout=30_000)
    expect(page).to_have_url(re.compile(rf"^{app.url}/stores(\?shop=[\w.-]+)?$"))

    assert any("/admin/oauth/authorize" in address for address in visited)
    ours = [address for address in visited if address.startswith(app.url)]
    assert not [address for address in ours if re.search("code=|state=", address)]
    log = (app.data_dir / "app.log").read_text()
    secrets = (SECRET, "code=", "state=", *shopify.tokens, *shopify.refresh.values())
    assert len(secrets) > 4 and not [secret for secret in secrets if secret in log]
