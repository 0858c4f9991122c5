"""From an invitation to the store, in a real browser: the link, a new account, the role that was given."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import RunningApp

pytestmark = pytest.mark.browser
PASSWORD = "a sentence that nobody guesses"


def test_an_invited_person_registers_and_sees_the_store_with_that_role(page: Page, app: RunningApp):
    email, password = app.passwords["alice"]
    page.goto(f"{app.url}/team")
    page.get_by_label("E-mail address").fill(email)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Team", exact=True)).to_be_visible()
    page.get_by_label("E-mail address").fill("vera@example.com")
    page.get_by_role("combobox", name=re.compile("Choose a role|Role")).first.click()
    page.get_by_role("option", name="Viewer").click()
    page.get_by_role("button", name="Make a link").click()
    code = page.get_by_test_id("stCode")
    expect(code).to_contain_text("/?invite=")
    link = code.inner_text().strip()
    assert link.startswith(f"{app.url}/?invite=")

    assert page.context.browser is not None
    visitor = page.context.browser.new_context(viewport={"width": 1440, "height": 1000}, locale="en-US")
    theirs = visitor.new_page()
    theirs.set_default_timeout(30_000)
    theirs.goto(link)
    expect(theirs.get_by_text(re.compile("You are invited to"))).to_be_visible(timeout=30_000)
    expect(theirs).not_to_have_url(re.compile("invite="))
    for label, text in (("First name", "Vera"), ("Last name", "Lind"), ("E-mail address", "vera@example.com")):
        theirs.get_by_label(label).fill(text)
    theirs.get_by_label("Password", exact=True).fill(PASSWORD)
    theirs.get_by_label("Repeat password").fill(PASSWORD)
    theirs.get_by_role("button", name="Create the account").click()
    expect(theirs.get_by_text("Signed in as Vera Lind")).to_be_visible(timeout=30_000)
    theirs.get_by_role("link", name="Stores", exact=True).click()
    expect(theirs.get_by_role("heading", name="Stores", exact=True)).to_be_visible()
    expect(theirs.get_by_role("link", name="Team", exact=True)).to_have_count(0)
    theirs.get_by_role("link", name="Sync", exact=True).click()
    expect(theirs.get_by_role("heading", name="Sync", exact=True)).to_be_visible()
    expect(theirs.get_by_role("button", name="Sync now")).to_have_count(0)
    theirs.goto(link)
    expect(theirs.get_by_text(re.compile("was used already"))).to_be_visible(timeout=30_000)
    visitor.close()
