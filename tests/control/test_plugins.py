"""A project's own planner, verifier and assimilator: as Python objects and as programs with exit codes."""

import json
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fallow.control.boinc.scripts import Answered
from fallow.control.plugins import NotNow, Plugs
from fallow.core.job import Chunking, Plugins, VerifyMethod, VerifyPolicy
from fallow.core.refusals import Code, Refusal
from fallow.core.submission import Submission
from fallow.core.words import JobState
from fallow.settings import Settings
from fallow.sim.deeds import Deed
from fallow.sim.world import SUBMITTER, World

Extra = Mapping[tuple[str, str], Any]


@pytest.fixture
def worlds() -> Iterator[Callable[[Extra], World]]:
    made: list[World] = []

    def make(extra: Extra) -> World:
        world = World(settings=Settings(allow_exec_plugins=True), plugs=extra)
        world.inputs.files["in.jsonl"] = b"".join(b'{"n":%d,"do":"ok"}\n' % n for n in range(6))
        made.append(world)
        return world

    yield make
    for world in made:
        world.close()


def program(folder: Path, name: str, body: str) -> str:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return f"exec:{path}"


def finished(world: World, plugins: Plugins, **more: object) -> JobState:
    given = Submission("sim:in.jsonl", job_id="j", image="model", plugins=plugins, chunking=Chunking(items=3))
    world.server.intake.submit(SUBMITTER, replace(given, **more))  # type: ignore[arg-type]
    world.run(3, lambda: world.job("j").finished_at is not None)
    return world.job("j").state


def test_a_planner_makes_the_items(worlds: Callable[[Extra], World]) -> None:
    def twice(uri: str, stream: Callable[[], Iterator[bytes]]) -> Iterator[dict[str, object]]:
        for line in b"".join(stream()).splitlines():
            yield from ({"n": json.loads(line)["n"], "do": "ok"} for _ in range(2))

    world = worlds({("fallow.planners", "twice"): twice})
    world.add_worker("ada")
    assert finished(world, Plugins(planner="twice")) is JobState.COMPLETED
    assert [json.loads(line)["n"] for line in world.output("j").splitlines()] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_a_verifier_turns_answers_away(worlds: Callable[[Extra], World]) -> None:
    """It alone knows that squares are numbers: the liar's answers are well formed and well signed."""

    def numbers(artifact: Path) -> bool:
        return all(isinstance(json.loads(line)["square"], int) for line in artifact.read_bytes().splitlines())

    world = worlds({("fallow.verifiers", "numbers"): numbers})
    world.add_worker("mallory", temper=lambda _lease: Deed.LIE)
    world.add_worker("ada")
    assert finished(world, Plugins(verifier="numbers")) is JobState.COMPLETED
    assert all(isinstance(json.loads(line)["square"], int) for line in world.output("j").splitlines())
    causes = [row.cause for chunk in (0, 1) for row in world.story("j", chunk)]
    assert any("the verifier numbers does not accept it" in cause for cause in causes)


def test_a_verifier_decides_what_agrees(worlds: Callable[[Extra], World]) -> None:
    class Anything:
        def __call__(self, artifact: Path) -> bool:
            return True

        def same(self, first: Path, second: Path) -> bool:
            return True

    world = worlds({("fallow.verifiers", "anything"): Anything()})
    world.add_worker("mallory", temper=lambda _lease: Deed.LIE)
    world.add_worker("ada")
    quorum = VerifyPolicy(VerifyMethod.QUORUM, 2)
    assert finished(world, Plugins(verifier="anything"), verify=quorum) is JobState.COMPLETED


def test_an_assimilator_is_told_when_the_outputs_are_there(worlds: Callable[[Extra], World]) -> None:
    told: list[tuple[str, str, dict[str, Any]]] = []
    world = worlds({("fallow.assimilators", "notes"): lambda *args: told.append(args)})
    world.add_worker("ada")
    assert finished(world, Plugins(assimilator="notes")) is JobState.COMPLETED
    ((job_id, uri, summary),) = told
    assert (job_id, uri, summary["items"]) == ("j", "fallow:jobs/j/output", 6)


def test_an_assimilator_that_fails_fails_the_job(worlds: Callable[[Extra], World], tmp_path: Path) -> None:
    world = worlds({})
    world.add_worker("ada")
    name = program(tmp_path, "bad", "cat >/dev/null; echo no room >&2; exit 7")
    assert finished(world, Plugins(assimilator=name)) is JobState.FAILED
    assert "exit code 7. no room" in world.job("j").reason


def test_programs_of_each_kind(worlds: Callable[[Extra], World], tmp_path: Path) -> None:
    world = worlds({})
    world.add_worker("ada")
    plugins = Plugins(
        planner=program(tmp_path, "plan", "head -n 2"),
        verifier=program(tmp_path, "verify", 'test "$1" = init && grep -q square "$2"'),
        assimilator=program(tmp_path, "keep", f'cat > {tmp_path}/told; echo "$1 $2" >> {tmp_path}/told'),
    )
    assert finished(world, plugins) is JobState.COMPLETED
    assert len(world.output("j").splitlines()) == 2
    summary, names = (tmp_path / "told").read_text().rsplit("}", 1)
    assert '"items": 2' in summary
    assert names.strip() == "j fallow:jobs/j/output"


@pytest.mark.parametrize(("code", "word"), [(0, True), (1, False), (2, False), (3, None), (139, False)])
def test_exit_codes(tmp_path: Path, code: int, word: bool | None) -> None:
    plugs = Plugs(allow_exec=True)
    name = program(tmp_path, "says", f"exit {code}")
    if word is None:
        with pytest.raises(NotNow):
            plugs.is_valid(name, Answered(tmp_path))
        with pytest.raises(NotNow):
            plugs.are_same(name, Answered(tmp_path), Answered(tmp_path))
    else:
        assert plugs.is_valid(name, Answered(tmp_path)) is word
        assert plugs.are_same(name, Answered(tmp_path), Answered(tmp_path)) is word


def test_a_verifier_that_cannot_tell_now_is_asked_again(worlds: Callable[[Extra], World], tmp_path: Path) -> None:
    flag = tmp_path / "asked"
    name = program(tmp_path, "later", f"test -e {flag} && exit 0; touch {flag}; exit 3")
    world = worlds({})
    world.add_worker("ada")
    assert finished(world, Plugins(verifier=name)) is JobState.COMPLETED


@pytest.mark.parametrize("name", ["exec:", "exec:relative", "exec:/no/such/program", "unknown"])
def test_plug_ins_that_are_not_there(name: str) -> None:
    with pytest.raises(Refusal) as caught:
        Plugs(allow_exec=True).check(Plugins(verifier=name))
    assert caught.value.code is Code.PLUGIN_UNKNOWN


def test_a_planner_that_fails_fails_the_job(worlds: Callable[[Extra], World], tmp_path: Path) -> None:
    world = worlds({})
    name = program(tmp_path, "bad", "echo '{}'; exit 4")
    assert finished(world, Plugins(planner=name)) is JobState.FAILED
    assert "exit code 4" in world.job("j").reason


def broken(*_: object) -> Iterator[object]:
    raise RuntimeError("the licence server is away")


@pytest.mark.parametrize("part", ["planner", "assimilator"])
def test_a_broken_part_fails_its_own_job_and_holds_up_nobody(worlds: Callable[[Extra], World], part: str) -> None:
    world = worlds({(f"fallow.{part}s", "broken"): broken})
    world.add_worker("ada")
    for job_id, plugins in (("j", Plugins(**{part: "broken"})), ("k", Plugins())):
        given = Submission("sim:in.jsonl", job_id=job_id, image="model", plugins=plugins, chunking=Chunking(items=3))
        world.server.intake.submit(SUBMITTER, given)
    world.run(3, lambda: all(world.job(each).finished_at is not None for each in ("j", "k")))
    assert (world.job("j").state, world.job("k").state) == (JobState.FAILED, JobState.COMPLETED)
    assert "RuntimeError: the licence server is away" in world.job("j").reason


def test_a_verifier_that_breaks_on_an_answer_does_not_accept_it(worlds: Callable[[Extra], World]) -> None:
    world = worlds({("fallow.verifiers", "broken"): broken})
    world.add_worker("ada")
    assert finished(world, Plugins(verifier="broken")) is JobState.FAILED
    assert any("the licence server is away" in row.cause for row in world.story("j"))
