"""A real worker for one job."""

import threading

from fallow.core.words import Engine
from fallow.worker.agent import run_agent
from fallow.worker.options import AgentOptions
from tests.web.conftest import House


def run_job(house: House, job: dict[str, object]) -> str:
    """The id of the job, once a worker of its own has run it to its end."""
    with house.client() as admin:
        answer = admin.post("/api/jobs", json=job)
        assert answer.status_code == 201, answer.text
        job_id = str(answer.json()["job_id"])
        stop = threading.Event()
        options = AgentOptions(
            server=house.url,
            token=house.server.admin_key,
            data_dir=house.folder / f"worker-{job_id}",
            engine=Engine.PROCESS,
            allow_process=True,
            drain_seconds=5,
        )
        worker = threading.Thread(target=run_agent, args=(options, stop))
        worker.start()
        with admin.stream("GET", f"/api/jobs/{job_id}/events", timeout=60) as events:
            assert "event: over" in list(events.iter_lines())
        stop.set()
        worker.join(30)
    return job_id
