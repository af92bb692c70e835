"""The OpenAI door's parts, put together: files, uploads, models, batches, and the publisher."""

from dataclasses import dataclass

from fallow.control.batch_form import BatchForm
from fallow.control.batches import Batches
from fallow.control.files import Files
from fallow.control.intake import Intake
from fallow.control.models import Models
from fallow.control.places import Places
from fallow.control.publisher import Publisher
from fallow.control.uploads import Uploads
from fallow.protocols.openai.form import OpenaiForm
from fallow.settings import Settings
from fallow.store.port import Store
from fallow.wiring.roles import Role

FORM: BatchForm = OpenaiForm()
_SWEEP_SECONDS = 5.0
_STEP = 200


@dataclass(frozen=True, slots=True)
class Openai:
    """What the door asks."""

    models: Models
    files: Files
    uploads: Uploads
    batches: Batches


def openai_of(store: Store, places: Places, intake: Intake, settings: Settings) -> Openai:
    files = Files(store, places, settings)
    return Openai(
        models=Models(store, intake, places.clock),
        files=files,
        uploads=Uploads(store, places, files, settings),
        batches=Batches(store, places, intake, files, FORM, settings),
    )


def openai_roles(store: Store, places: Places, settings: Settings, owner: str) -> list[tuple[str, Role]]:
    """(kind, role) of the threads that write what batches answered, and remove what nobody keeps."""
    files = Files(store, places, settings)
    uploads = Uploads(store, places, files, settings)

    def sweep() -> bool:
        swept = files.sweep(_STEP)
        return uploads.expire(_STEP) or swept

    publisher = Publisher(store, places, FORM, settings, owner)
    return [
        ("publisher", Role("publisher", publisher.step, settings.role_seconds, then="notifier")),
        ("janitor", Role("files", sweep, _SWEEP_SECONDS)),
    ]
