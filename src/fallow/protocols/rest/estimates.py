"""POST /api/estimates, outwards: what would become of a job."""

from pydantic import BaseModel, ConfigDict

from fallow.protocols.rest.jobs import RangeMessage


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class BandView(_Message):
    """Most likely `likely`, and between low and high."""

    low: float
    likely: float
    high: float


class ItemView(_Message):
    """line: what the image would get, shortened. fault: why it would not be sent; "" when it would."""

    item: int
    line: str
    size_bytes: int
    fault: str


class CountView(_Message):
    """exact is false where only samples of a large input were read."""

    items: int
    exact: bool


class PlanView(_Message):
    """first: the first chunks' items."""

    chunks: int
    exact: bool
    first: list[RangeMessage]


class PaceView(_Message):
    """Items per second of one slot, from so many chunks that the same image did before."""

    likely: float
    low: float
    high: float
    chunks: int


class TimeView(_Message):
    """seconds: from the first lease to the last answer, null when no worker fits now. slot_seconds: of all slots
    together."""

    seconds: BandView | None
    slot_seconds: BandView
    slots: int
    pace: PaceView


class FitView(_Message):
    """A worker that was heard of lately. why_not: what it lacks; empty when it can take the job."""

    worker_id: str
    label: str | None
    slots: int
    busy: int
    why_not: list[str]


class EstimateView(_Message):
    """What would become of a job. first, items, plan: null where a plug-in makes the items. estimate: null where this
    image never ran here. fits: at most 100 workers. why_waiting: why no worker would take it."""

    job_id: str
    image: str
    input_bytes: int
    first: list[ItemView] | None
    bad_items: int
    looked_at: int
    items: CountView | None
    plan: PlanView | None
    estimate: TimeView | None
    slots_fitting: int
    fits: list[FitView]
    why_waiting: list[str]
