"""What /openapi.json says beside what FastAPI knows by itself: how each call refuses."""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

_SAYS: Final[Mapping[int, str]] = {
    400: "The request cannot be understood, or asks for the impossible.",
    401: "There is no key, or it opens nothing.",
    403: "This key may not do that.",
    404: "There is no such thing, or it is somebody else's.",
    409: "Not now: something is in the way.",
    413: "It is too large.",
    429: "Too often; Retry-After says when to come back.",
    500: "A mistake of the server's own. The log has the whole story, by the request's id.",
    502: "Something else that was asked for it failed.",
    503: "A part of the server cannot be reached now; try again.",
    507: "There is no room left.",
}
_REFUSAL: Final = {
    "title": "Refusal",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "remedy", "details"],
            "properties": {
                "code": {"type": "string", "description": "Stable, for scripts."},
                "message": {"type": "string", "description": "What is wrong, in a sentence."},
                "remedy": {"type": "string", "description": "What to do about it."},
                "details": {"type": "object"},
                "request_id": {"type": "string"},
            },
        }
    },
}
_OPENAI_ERROR: Final = {
    "title": "OpenAI error",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                "code": {"anyOf": [{"type": "string"}, {"type": "integer"}, {"type": "null"}]},
            },
        }
    },
}
_VERBS: Final = ("get", "put", "post", "delete", "patch", "head")


class Describing(FastAPI):
    """A FastAPI that describes refusals as they are: 400 where FastAPI would answer 422, and all the others."""

    def openapi(self) -> dict[str, Any]:
        """The description, made once."""
        if self.openapi_schema is None:
            self.openapi_schema = _with_refusals(
                get_openapi(title=self.title, version=self.version, description=self.description, routes=self.routes)
            )
        return self.openapi_schema


def _with_refusals(said: dict[str, Any]) -> dict[str, Any]:
    schemas = said.setdefault("components", {}).setdefault("schemas", {})
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    schemas["Refusal"] = _REFUSAL
    schemas["OpenAIError"] = _OPENAI_ERROR
    for path, verbs in said["paths"].items():
        name = "OpenAIError" if path.startswith("/v1/") else "Refusal"
        for verb in _VERBS:
            if verb in verbs:
                _describe(verbs[verb]["responses"], name, has_body=verb != "head")
    return said


def _describe(responses: dict[str, Any], schema: str, *, has_body: bool) -> None:
    """What the call says of itself stays."""
    responses.pop("422", None)
    for status, says in _SAYS.items():
        answer: dict[str, Any] = {"description": says}
        if has_body:
            answer["content"] = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}
        responses.setdefault(str(status), answer)
    if not has_body:
        for answer in responses.values():
            answer.pop("content", None)
