"""Where a job's outputs are: at the submitter's URI, or in fallow's own store."""

from typing import Final

from fallow.artifacts.locations import Target
from fallow.control.places import OWN, Places
from fallow.core.job import JobSpec

OUTPUT: Final = "output.jsonl"
ERRORS: Final = "errors.jsonl"
MANIFEST: Final = "manifest.json"
NAMES: Final = (OUTPUT, ERRORS, MANIFEST)


def output_target(spec: JobSpec, places: Places) -> Target:
    """Raises Refusal OUTPUT_NOT_ALLOWED when the operator has forbidden the place since."""
    return places.open_target(spec.output_uri or f"{OWN}jobs/{spec.job_id}/output")
