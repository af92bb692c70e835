"""fallow.Executor under libraries that take a pool: a server and two workers as processes, the same numbers as here."""

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dynesty
import emcee
import joblib
import numpy as np
import pytest

import fallow
from fallow.sdk.images import build_image
from fallow.sdk.joblib_backend import on_fleet
from tests.e2e.house import House, wait_until

HERE = sys.modules[__name__]  # no worker can import a test
REPOSITORY = Path(__file__).parents[2]
TIMES = np.linspace(0, 10, 40)
SEEN = 2.0 * np.sin(0.9 * TIMES) + np.random.default_rng(1).normal(0, 0.3, TIMES.size)


def log_probability(at: np.ndarray) -> float:
    """How well a wave of this height and frequency explains what was seen."""
    height, frequency = at
    if not (0 < height < 10 and 0 < frequency < 3):
        return -np.inf
    return float(-0.5 * np.sum(((SEEN - height * np.sin(frequency * TIMES)) / 0.3) ** 2))


def sampled(pool: Any, steps: int) -> np.ndarray:
    """A chain from a fixed state of chance: it depends on nothing but the values of the function."""
    start = np.random.default_rng(2).normal([2.0, 0.9], 0.01, (16, 2))
    sampler = emcee.EnsembleSampler(16, 2, log_probability, pool=pool)
    state = np.random.RandomState(3).get_state()
    sampler.run_mcmc(emcee.State(start, random_state=state), steps)
    return sampler.get_chain()


@pytest.fixture
def fleet(house: Callable[..., House]) -> Iterator[fallow.Client]:
    """Two workers of one slot that run bare commands."""
    server = house("--allow-process")
    for name in ("first", "second"):
        server.worker(name, "--slots", "1", "--allow-process", "--engine", "process")
    with fallow.Client(server.url, server.key) as client:
        wait_until("both workers", lambda: sum(each.alive for each in client.workers()) == 2)
        yield client


def test_emcee_samples_the_same_posterior_on_two_workers(fleet: fallow.Client) -> None:
    with fallow.Executor(client=fleet, by_value=[HERE]) as pool:
        there = sampled(pool, 60)
        job_id = pool.job_id
    here = sampled(None, 60)
    assert there.tobytes() == here.tobytes(), "not merely alike"
    assert np.allclose(here[30:].mean(axis=(0, 1)), [2.0, 0.9], atol=0.2), "it is a posterior"
    assert job_id is not None
    over = fleet.wait(job_id, timeout_seconds=60)
    assert (over.state, over.progress.error_items) == ("completed", 0)
    attempts = list(fleet.attempts(job_id))
    assert {each.state for each in attempts} == {"valid"}
    assert len({each.worker_id for each in attempts}) == 2


@pytest.mark.filterwarnings("ignore:The sampling was stopped short")
def test_dynesty_and_joblib_take_the_pool_as_well(fleet: fallow.Client) -> None:
    def inside(unit: np.ndarray) -> np.ndarray:
        return unit * [10, 3]

    def evidence(pool: Any) -> np.ndarray:
        """Its likelihood gives objects of dynesty's own, which only trusted workers may send."""
        queue = {"pool": pool, "queue_size": 2} if pool else {"queue_size": 2, "pool": Here()}
        sampler = dynesty.NestedSampler(
            log_probability, inside, 2, nlive=30, rstate=np.random.default_rng(4), sample="unif", **queue
        )
        sampler.run_nested(maxiter=60, print_progress=False)
        return np.asarray(sampler.results.logl)

    with fallow.Executor(client=fleet, trust_workers=True, by_value=[HERE]) as pool:
        assert evidence(pool).tobytes() == evidence(None).tobytes()
    with fallow.Executor(client=fleet) as pool, on_fleet(pool):
        squares = joblib.Parallel()(joblib.delayed(pow)(n, 2) for n in range(40))
    assert squares == [n**2 for n in range(40)]


def test_a_killed_worker_and_a_killed_server_cost_no_call(house: Callable[..., House]) -> None:
    def slow(n: int) -> int:
        time.sleep(0.1)
        return n * n

    server = house("--allow-process")
    words = ("--slots", "1", "--allow-process", "--engine", "process")
    first, _second = server.worker("first", *words), server.worker("second", *words)
    with fallow.Client(server.url, server.key) as client:
        wait_until("both workers", lambda: sum(each.alive for each in client.workers()) == 2)
        with fallow.Executor(client=client, by_value=[HERE]) as pool:
            futures = [pool.submit(slow, n) for n in range(60)]
            futures[10].result(60)
            first.kill()
            futures[20].result(60)
            server.server.kill()
            server.start_server()
            assert [each.result(120) for each in futures] == [n * n for n in range(60)]
            job_id = pool.job_id
        assert job_id is not None
        over = client.wait(job_id, timeout_seconds=60)
        assert (over.state, over.progress.completed_items) == ("completed", 60)


class Here:
    """A pool that is this process: dynesty asks as many at once as with another."""

    map = staticmethod(map)


@pytest.mark.containers
def test_emcee_in_containers(house: Callable[..., House], tmp_path: Path) -> None:
    """The image of images/python, without a network, as a stranger's machine would run it."""
    cache = REPOSITORY / ".cache" / "images"
    layout = cache / "python"
    built = build_image(REPOSITORY / "images/python/spec.toml", layout, progress=lambda _: None, cache=cache)
    server = house("--allow-root", str(layout))
    for name in ("first", "second"):
        server.worker(name, "--slots", "1")
    with fallow.Client(server.url, server.key) as client:
        with fallow.Executor(f"oci:{built.layout}", client, by_value=[HERE, emcee]) as pool:
            there = sampled(pool, 10)
            job_id = pool.job_id
            where = pool.submit(where_am_i).result(60)
        assert job_id is not None
        assert client.wait(job_id, timeout_seconds=60).state == "completed"
    assert there.tobytes() == sampled(None, 10).tobytes()
    assert where == (1000, False), "not root, and no network"


def where_am_i() -> tuple[int, bool]:
    """The user, and whether anything but the machine itself can be reached."""
    import os
    import socket

    return os.getuid(), any(name != "lo" for _, name in socket.if_nameindex())
