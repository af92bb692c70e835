"""/notices and its pages in a browser."""

from collections.abc import Callable, Iterator

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from fallow.control.notices import Told, tell
from fallow.core.notices import EVENTS, NoticeKind
from tests.e2e_pages.conftest import EVIL, PHONE, Site, Visit, sign_in, until, violations
from tests.servers.receiver import Receiver, receiving

Shoot = Callable[[Page, str], None]
LIGHTS = (("light", {}), ("dark", {"theme": "dark"}), ("phone", {"size": PHONE}))
SAMPLES = (
    (NoticeKind.JOB_COMPLETED, "finished", "Job “Titles of the archive” is complete", "1,000,000 of 1,000,000 items."),
    (NoticeKind.JOB_FAILED, "broken", f"Job {EVIL} has failed", f"{EVIL} ended with exit code 3"),
    (
        NoticeKind.JOB_NEEDS_ATTENTION,
        "waiting",
        "Job waiting waits, and nobody can take it",
        "label=cloud excludes 3 of 3 workers.\nIt goes on by itself when a worker that fits joins.",
    ),
    (NoticeKind.WORKER_SILENT, "rack-5", "Worker rack-5 is silent", "rack-5 was last heard of 12 minutes ago."),
    (NoticeKind.SERVER_DISK_LOW, "farm", "The disk of farm is nearly full", "The data directory has 900 MiB left."),
)


def say(site: Site, account: str, number: int, kind: NoticeKind, subject: str, title: str, body: str) -> None:
    system = site.server.system
    with system.store.transaction() as tx:
        told = Told(account, kind, subject, title, body, f"{account}-{number}")
        assert tell(tx, told, system.clock.now(), system.settings)


@pytest.fixture
def told(site: Site, request: pytest.FixtureRequest) -> str:
    """A key of an account of its own, which has been told all kinds of things."""
    account = "told-" + request.node.name.replace("_", "-")[5:45]
    with site.client() as admin:
        key = admin.post("/api/keys", json={"name": "k", "scopes": ["submit"], "account_id": account}).json()["key"]
    for number, sample in enumerate(SAMPLES):
        say(site, account, number, *sample)
    return str(key)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving(Receiver()) as made:
        yield made


def test_notices_in_every_light(visit: Visit, shoot: Shoot, told: str) -> None:
    page = visit("/notices", key=told)
    expect(page.locator(".notice.unread")).to_have_count(len(SAMPLES))
    page.get_by_role("button", name="Mark as read: Worker rack-5 is silent").click()
    expect(page.locator(".notice.unread")).to_have_count(len(SAMPLES) - 1)
    assert page.locator("main script").count() == 0, "a title is text"
    expect(page.get_by_role("link", name="Worker rack-5 is silent", exact=True)).to_have_attribute(
        "href", "/worker?worker_id=rack-5"
    )
    for name, more in LIGHTS:
        each = visit("/notices", key=told, **more)
        shoot(each, f"notices-{name}")
        assert violations(each) == []
        assert each.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"


def test_notices_are_filtered_and_read(visit: Visit, told: str) -> None:
    page = visit("/notices", key=told)
    page.get_by_label("Kind").select_option("job.failed")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".notice")).to_have_count(1)
    expect(page.locator(".notice-body")).to_have_text(f"{EVIL} ended with exit code 3")
    page.get_by_role("link", name="Clear").click()
    page.get_by_role("button", name="Mark all as read").click()
    expect(page.get_by_role("status").first).to_have_text("All notices are read.")
    page.get_by_label("Unread only").check()
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".empty")).to_have_text("No notice is like that.")


def test_choices_of_mail_are_kept(visit: Visit, told: str) -> None:
    page = visit("/notices", key=told)
    box = page.get_by_label("A job or batch is complete")
    expect(box).to_be_checked()
    box.uncheck()
    page.get_by_role("button", name="Keep this choice").click()
    expect(page.get_by_label("A job or batch is complete")).not_to_be_checked()
    expect(page.get_by_label("A job or batch has failed")).to_be_checked()


def test_a_webhook_is_added_by_keyboard_alone_tested_and_removed(
    visit: Visit, shoot: Shoot, told: str, receiver: Receiver
) -> None:
    page = visit("/notices/webhooks", key=told)
    page.get_by_label("Name").focus()
    page.keyboard.type(EVIL)
    page.keyboard.press("Tab")
    page.keyboard.type(f"https://127.0.0.1:{receiver.port}/hook")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.keyboard.press("Enter")
    secret = page.locator("#secret").inner_text()
    assert secret.startswith("whsec_")
    expect(page.locator("td[data-label=For]")).to_have_text(EVENTS[0].value)
    page.reload()  # which sends the form again
    expect(page.locator("main tbody tr")).to_have_count(1)
    page.goto("/notices/webhooks")
    assert secret not in page.content()
    page.get_by_role("button", name=f"Test: {EVIL}").click()
    expect(page.get_by_role("alert")).to_contain_text("is not a public address")
    page.get_by_role("button", name=f"New secret: {EVIL}").click()
    assert page.locator("#secret").inner_text() != secret
    for name, more in LIGHTS:
        each = visit("/notices/webhooks", key=told, **more)
        shoot(each, f"webhooks-{name}")
        assert violations(each) == []
        assert each.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
    page.goto("/notices/webhooks")
    page.get_by_role("button", name=f"Remove: {EVIL}").press("Enter")
    page.get_by_role("button", name="Remove it").press("Enter")
    expect(page.locator(".empty")).to_contain_text("No webhooks yet")


def test_a_bad_address_is_said_beside_the_form(browser: Browser, site: Site, told: str) -> None:
    context = browser.new_context(base_url=site.url)
    sign_in(context, site.url, told)
    page = context.new_page()
    page.goto("/notices/webhooks")
    page.get_by_label("Name").fill("mine")
    page.get_by_label("Address to call").fill("ftp://r.example/")
    with page.expect_response("**/notices/webhooks") as answered:
        page.get_by_role("button", name="Add it").click()
    assert answered.value.status == 400
    expect(page.locator("#add-problem")).to_contain_text("The url must be of the form https://host/path")
    expect(page.get_by_label("Address to call")).to_have_value("ftp://r.example/")
    context.close()


def test_deliveries_are_listed_with_their_tries_and_sent_again(
    site: Site, visit: Visit, shoot: Shoot, told: str, receiver: Receiver
) -> None:
    page = visit("/notices/webhooks", key=told)
    page.get_by_label("Name").fill(f"mine {EVIL}")
    page.get_by_label("Address to call").fill(f"https://127.0.0.1:{receiver.port}/hook")
    page.get_by_role("button", name="Add it").click()
    expect(page.locator("#secret")).to_be_visible()
    with site.client() as client:
        client.headers["authorization"] = f"Bearer {told}"
        account = client.get("/api/me").json()["account"]["account_id"]
        say(site, account, 99, NoticeKind.JOB_COMPLETED, "finished", "Job finished is complete", "All.")
        until("the end of its tries", lambda: states(client) == ["failed"])
        page.goto("/notices/deliveries")
        expect(page.locator("tbody .state")).to_have_text("failed")
        expect(page.locator("tbody")).to_contain_text("is not a public address")
        for name, more in LIGHTS:
            each = visit("/notices/deliveries", key=told, **more)
            shoot(each, f"deliveries-{name}")
            assert violations(each) == []
            assert each.evaluate("document.documentElement.scrollWidth <= innerWidth"), "the page scrolls sideways"
        page.get_by_role("link", name="Job finished is complete").click()
        expect(page.locator("table.cards tbody tr")).to_have_count(1)
        expect(page.locator("pre")).to_contain_text('"type":"job.completed"')
        shoot(page, "delivery-light")
        assert violations(page) == []
        page.get_by_role("button", name="Send again").click()
        expect(page.get_by_role("status").first).to_have_text("It is on its way again.")
        until("a second round", lambda: tries(client) == 2)
        page.reload()
        expect(page.locator("table.cards tbody tr")).to_have_count(2)
    assert receiver.taken == [], "this server calls public addresses only"


def states(client: httpx2.Client) -> list[str]:
    return [each["state"] for each in client.get("/api/deliveries").json()["deliveries"]]


def tries(client: httpx2.Client) -> int:
    (one,) = client.get("/api/deliveries").json()["deliveries"]
    return len(client.get(f"/api/deliveries/{one['delivery_id']}").json()["history"])


def test_other_peoples_notices_are_not_there(browser: Browser, site: Site, told: str) -> None:
    with site.client() as admin:
        admin.headers["authorization"] = f"Bearer {told}"
        notice = admin.get("/api/notices").json()["notices"][0]["notice_id"]
    context = browser.new_context(base_url=site.url)
    sign_in(context, site.url, site.key)
    page = context.new_page()
    answer = page.goto(f"/notices?after={notice}")
    assert answer is not None
    assert answer.status == 404
    context.clear_cookies()
    page.goto("/notices")
    assert "/sign-in" in page.url
    context.close()
