"""POST /api/estimates: a job tried on paper. The same request as POST /api/jobs, and the same refusals."""

from dataclasses import asdict
from typing import Final

from fastapi import APIRouter

from fallow.control.estimates import DryRun, Fit
from fallow.core.estimate import Estimate
from fallow.protocols.rest.estimates import (
    BandView,
    CountView,
    EstimateView,
    FitView,
    ItemView,
    PaceView,
    PlanView,
    TimeView,
)
from fallow.protocols.rest.jobs import JobRequest, RangeMessage
from fallow.web.deps import TheDoor, Who
from fallow.web.models import submission_for

router = APIRouter(prefix="/api", tags=["jobs"])
_FITS_MAX: Final = 100


@router.post("/estimates")
def estimates(door: TheDoor, who: Who, request: JobRequest) -> EstimateView:
    """What would become of a job: its first items, its chunks, about how long it takes. Nothing is created."""
    return estimate_view(door.estimates.dry_run(who, submission_for(door, who, request)))


def estimate_view(run: DryRun) -> EstimateView:
    seen, plan = run.glimpse, run.plan
    return EstimateView(
        job_id=run.spec.job_id,
        image=run.spec.ran,
        input_bytes=run.spec.input.size_bytes,
        first=[ItemView(item=s.item, line=s.line, size_bytes=s.size_bytes, fault=s.fault) for s in seen.first]
        if seen
        else None,
        bad_items=seen.bad if seen else 0,
        looked_at=seen.looked_at if seen else 0,
        items=CountView(items=run.count.items, exact=run.count.exact) if run.count else None,
        plan=PlanView(
            chunks=plan.chunks,
            exact=plan.exact,
            first=[RangeMessage(start=each.item_start, end=each.item_end) for each in plan.first],
        )
        if plan
        else None,
        estimate=_time(run.estimate) if run.estimate else None,
        slots_fitting=sum(fit.slots for fit in run.fits if not fit.why_not),
        fits=[_fit(fit) for fit in run.fits[:_FITS_MAX]],
        why_waiting=list(run.why_none),
    )


def _time(found: Estimate) -> TimeView:
    return TimeView(
        seconds=BandView(**asdict(found.seconds)) if found.seconds else None,
        slot_seconds=BandView(**asdict(found.slot_seconds)),
        slots=found.slots,
        pace=PaceView(**asdict(found.pace)),
    )


def _fit(fit: Fit) -> FitView:
    why = [f"{each.requirement} (it has {each.has})" for each in fit.why_not]
    return FitView(worker_id=fit.worker_id, label=fit.label, slots=fit.slots, busy=fit.busy, why_not=why)
