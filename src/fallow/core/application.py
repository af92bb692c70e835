"""An application: what a right to submit is granted for. As BOINC has it: all jobs that run the same program."""

from typing import Final

PROCESS: Final = "process"  # jobs that run a bare command


def application_of(image: str | None, model: str = "") -> str:
    """A model's name where a job has one, else its image's reference without tag and digest, else "process".

    "ghcr.io/org/model:2@sha256:..." is "ghcr.io/org/model"; "oci:/srv/images/embed" is "embed".
    """
    if model:
        return model
    if not image:
        return PROCESS
    if image.startswith("oci:"):
        return image.removeprefix("oci:").rstrip("/").rpartition("/")[2] or PROCESS
    name = image.partition("@")[0]
    folder, slash, last = name.rpartition("/")  # a colon before the last slash is a registry's port
    return folder + slash + last.partition(":")[0]
