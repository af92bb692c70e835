"""Models, as /api/models takes and shows them."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ModelRequest(_Message):
    """job: the members of a job request that say what runs and how; its input is each job's own. endpoints: paths such
    as /v1/chat/completions. replace: a model of this name gives way."""

    name: Annotated[str, Field(min_length=1, max_length=400)]
    endpoints: Annotated[list[Annotated[str, Field(max_length=200)]], Field(min_length=1, max_length=32)]
    job: dict[str, Any]
    replace: bool = False


class ModelView(_Message):
    """image: the digest that runs, as it was found when the model was added; "" for a bare command."""

    name: str
    endpoints: list[str]
    job: dict[str, Any]
    image: str
    account_id: str
    created_at: str


class ModelList(_Message):
    models: list[ModelView]
