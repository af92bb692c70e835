"""/sign-in, /account and /people in a real browser: a new account's way, the keyboard, no scripts."""

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e_pages.conftest import DESKTOP, EVIL, PHONE, Site, Visit, sign_in, violations

PASSWORD = "purple otter stapler"
Shot = Callable[[Page, str], None]


@pytest.fixture
def stranger(browser: Browser, site: Site) -> Iterator[Page]:
    """A browser that is not signed in."""
    context = browser.new_context(base_url=site.url, viewport=DESKTOP, locale="en-GB")
    yield context.new_page()
    context.close()


@pytest.fixture(scope="module")
def crowd(site: Site) -> None:
    """Some accounts with shares and rights."""
    people = (
        ("Ada Lovelace", "ada@example.org", 5, "all", ["submit"]),
        ("Bob Bemer", "bob@example.org", 3, "granted", ["submit", "work"]),
        ("Carol Shaw", None, 2, "none", ["work"]),
        (EVIL, "evil@example.org", 1, "granted", ["submit"]),
    )
    with site.client() as admin:
        for name, email, share, right, scopes in people:
            fields = {"name": name, "email": email, "share": share, "submit_right": right, "scopes": scopes}
            account = admin.post("/api/accounts", json=fields)
            assert account.status_code == 201, account.text
            if right == "granted":
                path = f"/api/accounts/{account.json()['account_id']}/grants"
                for application in ("ghcr.io/org/model", "registry.example.org:5000/team/a-long-name", "<b>bold</b>"):
                    assert admin.post(path, json={"application": application}).status_code == 201
        now = site.server.system.clock.now()
    with site.store.transaction() as tx:
        for account_id, seconds in (("ada-lovelace", 30_000.0), ("bob-bemer", 14_000.0)):
            tx.charge(account_id, seconds, now, 86400.0)


def test_the_whole_way_of_a_new_account(visit: Visit, stranger: Page, shoot: Shot) -> None:
    """An operator makes it; its owner chooses a password, signs in, makes a key and signs out."""
    operator = visit("/people")
    operator.get_by_label("Name", exact=True).fill("Grace Hopper")
    operator.get_by_label("E-mail address", exact=True).fill("grace@example.org")
    operator.get_by_role("button", name="Make the account").click()
    expect(operator.get_by_role("heading", level=1)).to_have_text("Grace Hopper")
    link = operator.locator("#link").inner_text()
    shoot(operator, "person-link-light")

    stranger.goto(link)
    stranger.get_by_label("New password").fill(PASSWORD)
    stranger.get_by_label("The same again").fill(PASSWORD)
    shoot(stranger, "password-light")
    stranger.get_by_role("button", name="Set the password").click()
    expect(stranger.get_by_role("status").first).to_contain_text("The password is set")

    stranger.goto("/account")
    expect(stranger).to_have_url(re.compile(r"/sign-in\?next=%2Faccount$"))
    stranger.get_by_label("E-mail address").fill("grace@example.org")
    stranger.get_by_label("Password", exact=True).fill("not this one at all")
    stranger.get_by_role("button", name="Sign in", exact=True).click()
    expect(stranger.get_by_role("alert")).to_contain_text("is wrong")
    stranger.get_by_label("Password", exact=True).fill(PASSWORD)
    stranger.get_by_role("button", name="Sign in", exact=True).click()
    expect(stranger).to_have_url(re.compile("/account$"))

    stranger.get_by_label("What is the new key for?").fill("laptop")
    stranger.get_by_role("button", name="Make a key").click()
    key = stranger.locator("#new-key").inner_text()
    assert re.fullmatch(r"flw_[0-9a-f]{12}_[0-9a-f]{64}", key)
    stranger.goto("/account")
    assert key not in stranger.content(), "it is shown once"
    expect(stranger.get_by_role("cell", name="laptop", exact=True)).to_be_visible()

    stranger.locator("details.menu summary").click()
    stranger.get_by_role("button", name="Sign out", exact=True).click()
    expect(stranger).to_have_url(re.compile("/sign-in$"))
    stranger.goto("/account")
    expect(stranger).to_have_url(re.compile("/sign-in"))


def test_a_key_signs_in_by_keyboard_alone(stranger: Page, site: Site) -> None:
    stranger.goto("/sign-in?next=/workers")
    for _ in range(30):
        stranger.keyboard.press("Tab")
        if stranger.evaluate("document.activeElement.id") == "key":
            break
    stranger.keyboard.type(site.key)
    stranger.keyboard.press("Enter")
    expect(stranger).to_have_url(re.compile("/workers$"))


def test_everything_works_without_scripts(browser: Browser, site: Site) -> None:
    context = browser.new_context(base_url=site.url, java_script_enabled=False)
    page = context.new_page()
    page.goto("/sign-in")
    page.get_by_role("textbox", name="API key").fill(site.key)
    page.get_by_role("button", name="Sign in with the key").click()
    page.goto("/account")
    page.get_by_label("What is the new key for?").fill("no scripts")
    page.get_by_role("button", name="Make a key").click()
    expect(page.locator("#new-key")).to_contain_text("flw_")
    row = page.get_by_role("row", name=re.compile("no scripts"))
    row.get_by_role("button", name=re.compile("Revoke")).click()
    expect(page.locator(".flash.done")).to_contain_text("revoked")
    expect(page.get_by_role("cell", name="no scripts", exact=True)).to_have_count(0)
    context.close()


def test_an_operator_divides_the_fleet(visit: Visit, crowd: None) -> None:
    page = visit("/people")
    total = sum(float(each.input_value()) for each in page.locator("input.share").all())
    share = page.get_by_label("Share of Ada Lovelace")
    share.fill("7")
    share.press("Enter")
    expect(page.locator(".flash.done")).to_contain_text("1 share is changed")
    row = page.get_by_role("row", name=re.compile("Ada Lovelace"))
    expect(row.locator("td[data-label='Is due']")).to_contain_text(f"{100 * 7 / (total + 2):.0f} %")
    page.get_by_label("Share of Ada Lovelace").fill("5")
    page.get_by_role("button", name="Save the shares").click()


def test_an_operator_grants_takes_back_and_disables(visit: Visit, crowd: None, site: Site) -> None:
    page = visit("/people")
    page.get_by_role("link", name="Carol Shaw").click()
    page.get_by_label("May submit jobs for").select_option("granted")
    page.locator("section[aria-labelledby=right] form").first.get_by_role("button", name="Save").click()
    page.get_by_label("Application").fill("embed-small")
    page.get_by_role("button", name="Grant", exact=True).click()
    expect(page.get_by_role("list", name="Granted applications")).to_contain_text("embed-small")
    page.get_by_role("button", name="Take back embed-small").click()
    expect(page.locator(".flash.done")).to_contain_text("taken back")
    page.get_by_role("button", name="Disable the account").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.get_by_role("button", name="Leave it").click()
    page.get_by_role("button", name="Disable the account").click()
    page.get_by_role("button", name="Disable it", exact=True).click()
    expect(page.locator("h1 ~ .state")).to_have_text("disabled")
    page.get_by_role("button", name="Enable the account").click()
    expect(page.locator(".flash.done")).to_contain_text("enabled")


def test_what_is_wrong_is_said_on_the_page(stranger: Page, site: Site, crowd: None) -> None:
    """With the browser's own checks out of the way."""
    sign_in(stranger.context, site.url, site.key)

    def sent(path: str, button: str, **fields: str) -> str:
        stranger.goto(path)
        stranger.evaluate("for (const form of document.forms) form.noValidate = true")
        for label, text in fields.items():
            stranger.locator(f"[name='{label}']:not([type=hidden])").fill(text)
        stranger.get_by_role("button", name=button, exact=True).click()
        return stranger.get_by_role("alert").inner_text()

    assert "is not a number" in sent("/people", "Save the shares", **{"share:ada-lovelace": "many"})
    assert "A share is a number" in sent("/people", "Save the shares", **{"share:ada-lovelace": "-1"})
    assert "A name has" in sent("/people", "Make the account", name=" ")
    assert "no e-mail address" in sent("/people", "Make the account", name="n", email="a@b, c@d")
    assert "Another account" in sent("/people", "Make the account", name="n", email="ada@example.org")
    assert "no space" in sent("/person?account_id=bob-bemer", "Grant", application="two words")
    assert "no e-mail address to sign in with" in sent("/person?account_id=carol-shaw", "Make a password link")
    assert "Another account" in sent("/account", "Save", email="ada@example.org")


def test_only_operators_see_people(visit: Visit, site: Site) -> None:
    with site.client() as admin:
        made = admin.post("/api/keys", json={"name": "k", "scopes": ["submit"], "account_id": "dora"}).json()
    page = visit("/account", key=made["key"])
    expect(page.get_by_role("link", name="People")).to_have_count(0)
    for path in ("/people", "/person?account_id=operators"):
        answer = page.request.get(path)
        assert answer.status == 403
    token = page.locator("input[name=csrf]").first.get_attribute("value")
    for path, form in (
        ("/people", {"name": "n"}),
        ("/people/shares", {"share:dora": "9"}),
        ("/person", {"account_id": "dora", "name": "n", "role": "operator"}),
        ("/person/submit-right", {"account_id": "dora", "submit_right": "all"}),
        ("/person/grants", {"account_id": "dora", "application": "a"}),
        ("/person/grants/revoke", {"account_id": "dora", "application": "a"}),
        ("/person/password-link", {"account_id": "operators"}),
        ("/person/disabled", {"account_id": "operators", "disabled": "true"}),
        ("/person/keys/revoke", {"account_id": "dora", "key_id": made["key_id"]}),
    ):
        assert page.request.post(path, form={"csrf": token or "", **form}).status == 403, path
        assert page.request.post(path, form=form).status == 403, path


def test_a_name_is_text_and_nothing_else(visit: Visit, crowd: None) -> None:
    page = visit("/people")
    page.get_by_role("link", name=EVIL).click()
    expect(page.get_by_role("heading", level=1)).to_have_text(EVIL)
    expect(page.get_by_text("<b>bold</b>")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/account", "/people", "/person?account_id=bob-bemer"])
def test_pages_are_accessible(visit: Visit, crowd: None, shoot: Shot, path: str, theme: str) -> None:
    page = visit(path, theme=theme)
    assert violations(page) == []
    name = path.partition("?")[0].strip("/")
    shoot(page, f"{name}-{theme}")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_way_in_is_accessible(stranger: Page, shoot: Shot, theme: str) -> None:
    stranger.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
    stranger.goto("/sign-in")
    assert violations(stranger) == []
    shoot(stranger, f"sign-in-{theme}")


@pytest.mark.parametrize("path", ["/account", "/people", "/person?account_id=bob-bemer"])
def test_pages_fit_a_phone(visit: Visit, crowd: None, shoot: Shot, path: str) -> None:
    page = visit(path, size=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    name = path.partition("?")[0].strip("/")
    shoot(page, f"{name}-phone")


def test_the_way_in_fits_a_phone(stranger: Page, shoot: Shot) -> None:
    stranger.set_viewport_size({"width": 390, "height": 844})
    stranger.goto("/sign-in")
    assert stranger.evaluate("document.documentElement.scrollWidth <= innerWidth")
    shoot(stranger, "sign-in-phone")
