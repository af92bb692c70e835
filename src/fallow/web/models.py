"""/api/models: names that operators bind to what runs; and what a job request that names one asks for."""

from dataclasses import replace

from fastapi import APIRouter, Response

from fallow.control.callers import Caller
from fallow.control.models import template_of
from fallow.core.submission import Submission
from fallow.protocols.rest.jobs import JobRequest, moment
from fallow.protocols.rest.models import ModelList, ModelRequest, ModelView
from fallow.protocols.rest.submissions import check_texts, submission_of
from fallow.protocols.rest.templates import template_of as template_asked
from fallow.protocols.rest.templates import with_template
from fallow.store.port import ModelRow
from fallow.web.deps import Door, TheDoor, Who

router = APIRouter(prefix="/api/models", tags=["models"])


@router.get("")
def models(door: TheDoor, who: Who) -> ModelList:
    """The models that serve, by name."""
    return ModelList(models=[_view(row) for row in door.models.listed(who)])


@router.post("", status_code=201)
def add(door: TheDoor, who: Who, request: ModelRequest) -> ModelView:
    """Bind a name to what runs. The image is looked up now, and stays what it is now."""
    check_texts(request.model_dump())
    job, asked = template_asked(request.job)
    return _view(door.models.add(who, request.name, request.endpoints, job, asked, replace=request.replace))


@router.get("/{name:path}")
def model(door: TheDoor, who: Who, name: str) -> ModelView:
    """One model."""
    return _view(door.models.model(who, name))


@router.delete("/{name:path}", status_code=204)
def remove(door: TheDoor, who: Who, name: str) -> Response:
    """It takes no more jobs; those that it has go on."""
    door.models.remove(who, name)
    return Response(status_code=204)


def submission_for(door: Door, who: Caller, request: JobRequest) -> Submission:
    """What the request asks for, with the template of the model that it names, if it does. Raises Refusal."""
    if not request.model:
        return submission_of(request)
    row = door.models.model(who, request.model)
    template = template_of(row)
    said = request.model_dump(mode="json", exclude_unset=True, exclude={"model"})
    asked = submission_of(with_template(template.job, said))
    return replace(asked, model=row.name, resolved=template.image)


def _view(row: ModelRow) -> ModelView:
    template = template_of(row)
    return ModelView(
        name=row.name,
        endpoints=list(row.endpoints),
        job=dict(template.job),
        image=template.image.digest if template.image else "",
        account_id=row.account_id,
        created_at=moment(row.created_at) or "",
    )
