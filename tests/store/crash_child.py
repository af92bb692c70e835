"""Run by test_crash: commits lifecycles until it is killed. Arguments: the database's URL."""

import sys

from fallow.core.words import JobKey, Micros, WorkerId
from fallow.store.opening import open_store
from tests.store.yard import LEASE, NEVER, T0, done


def main(url: str) -> None:
    store = open_store(url)
    with store.reading() as tx:
        [job] = tx.leasable_jobs(1)
    commits = 0
    while True:
        with store.transaction() as tx:
            tx.open_chunks(JobKey(job.job_key), 3, T0, "scheduler")
            leased = tx.lease(job.job_key, WorkerId("w-1"), 2, T0, LEASE, NEVER)
            tx.apply([move for each in leased for move in done(job, each)], Micros(T0), "worker w-1")
        commits += 1
        sys.stdout.write(f"{commits}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(sys.argv[1])
