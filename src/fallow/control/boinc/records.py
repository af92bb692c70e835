"""A machine's record with one image, from its row."""

from fallow.core.reputation import Reputation
from fallow.store.port import ReputationRow


def reputation_of(row: ReputationRow) -> Reputation:
    """The row without whose it is."""
    return Reputation(
        quota=row.quota,
        valid=row.valid,
        invalid=row.invalid,
        errored=row.errored,
        valid_in_row=row.valid_in_row,
        day=row.day,
        sent_today=row.sent_today,
        seconds_per_item=row.seconds_per_item,
        turnaround_seconds=row.turnaround_seconds,
    )
