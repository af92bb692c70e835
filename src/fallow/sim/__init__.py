"""A seeded fleet in one thread, over the real core, SQL and codecs, with faults."""

from fallow.sim.seeds import Batch, Failure, Replay, replay, run_batch

__all__ = ["Batch", "Failure", "Replay", "replay", "run_batch"]
