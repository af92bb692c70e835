"""/jobs in a browser."""

from tests.e2e_pages.conftest import PHONE, violations


def test_jobs_are_listed(visit, shoot):
    page = visit("/jobs")
    assert page.locator("#job-finished .state").inner_text() == "completed"
    shoot(page, "jobs-light")
    dark = visit("/jobs", theme="dark")
    shoot(dark, "jobs-dark")
    phone = visit("/jobs", size=PHONE)
    shoot(phone, "jobs-phone")
    for each in (page, dark, phone):
        assert violations(each) == []
