"""GET /v1/models: what may stand in a request's body as its model."""

from fastapi import APIRouter

from fallow.protocols.openai.messages import ModelList, ModelObject
from fallow.web.deps import TheDoor
from fallow.web.openai.callers import Holder
from fallow.web.openai.objects import model_object

router = APIRouter()


@router.get("/models")
def listed(door: TheDoor, who: Holder) -> ModelList:
    return ModelList(data=[model_object(row) for row in door.models.listed(who)])


@router.get("/models/{name:path}")
def retrieve(door: TheDoor, who: Holder, name: str) -> ModelObject:
    return model_object(door.models.model(who, name))
