"""Roles as threads: what one step does never ends the next, and a bell saves waiting."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from fallow.core.refusals import Code, Refusal
from fallow.web.counters import Counters
from fallow.wiring import roles
from fallow.wiring.images import Finder, in_engine
from fallow.wiring.roles import Role, Roles

HOUR = 3600.0


def run(*parts: Role) -> Roles:
    running = Roles(parts, Counters(dict))
    running.start()
    return running


def test_a_step_that_fails_is_not_the_last(monkeypatch):
    monkeypatch.setattr(roles, "_FAULT_REST_SECONDS", 0.001)
    over = threading.Event()
    faults = iter([Refusal(Code.STORAGE_UNREACHABLE, "The database is gone."), ZeroDivisionError("a broken invariant")])

    def step() -> bool:
        fault = next(faults, None)
        if fault is not None:
            raise fault
        over.set()
        return False

    running = run(Role("brave", step, HOUR))
    assert over.wait(20)
    running.stop()


def test_a_role_that_worked_wakes_the_next_one():
    first_rested, woken = threading.Event(), threading.Event()
    go = threading.Event()

    def planner() -> bool:
        if go.is_set():
            go.clear()
            return True
        return False

    def merger() -> bool:
        if first_rested.is_set():
            woken.set()
        first_rested.set()
        return False

    running = run(Role("planner", planner, HOUR, then="merger"), Role("merger", merger, HOUR))
    assert first_rested.wait(20)
    go.set()
    running.ring("planner")
    assert woken.wait(20)
    running.stop()


def test_stopping_waits_for_nobody_who_rests():
    running = run(Role("idle", lambda: False, HOUR))
    running.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "role-idle"]


@pytest.fixture
def finder(house, tmp_path: Path) -> Callable[..., Finder]:
    shelf = house.server.system.door.shelf
    return lambda roots: Finder(shelf, tmp_path / "cache", roots, engines_shared=False)


def test_images_that_are_not_there(finder, tmp_path):
    cases = {
        f"oci:{tmp_path}/none": (Code.IMAGE_UNKNOWN, "no OCI image layout"),
        "oci:/etc": (Code.IMAGE_UNKNOWN, "reads no images under"),
        "127.0.0.1:1/model:1": (Code.IMAGE_UNKNOWN, "is not here"),
        "--privileged": (Code.IMAGE_INVALID, "not an image reference"),
    }
    for reference, (code, words) in cases.items():
        with pytest.raises(Refusal, match=words) as caught:
            finder([tmp_path]).resolve(reference)
        assert caught.value.code is code


def test_an_engine_that_has_no_such_image():
    assert in_engine("localhost/fallow-there-is-no-such-image:1") is None
