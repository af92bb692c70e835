"""Which container engine works on this machine. Finding out runs containers, so the verdict is kept for a day."""

import json
import os
import pwd
import time
from dataclasses import dataclass
from pathlib import Path

from fallow.core.refusals import Refusal
from fallow.worker.engines.oci_engine import Flavour, flavour_of, flavour_words
from fallow.worker.engines.probe import PROGRAMS, probe
from fallow.worker.faults import workers
from fallow.worker.volunteer.endings import Impossible

VERDICT_FILE = "engine.json"
KEPT_SECONDS = 86400.0


@dataclass(frozen=True, slots=True)
class EngineHere:
    """Finds the engine once, for all tasks of this project. directory: where the verdict is kept. preferred: what the
    client found ("docker", "podman" or "")."""

    directory: Path
    preferred: str
    label: str

    def find(self) -> Flavour:
        """Raises Impossible with what to install when there is none."""
        if (kept := self.known()) is not None:
            return kept
        order = sorted(PROGRAMS, key=lambda program: program != self.preferred)
        sentences = []
        for program in order:
            verdict = probe(program, self.label)
            if verdict.flavour is not None:
                self._keep(verdict.flavour)
                return verdict.flavour
            sentences.append(f"{verdict.message} {verdict.remedy.replace('$USER', _user())}")
        # The volunteer reads this as a notice: so what to do is part of it. Of two engines, one that is there and does
        # not work is the nearer.
        nearest = next((each for each in sentences if "is not installed" not in each), sentences[0])
        fault = workers("engine_missing", f"The machine has no working container engine. {nearest}")
        raise Impossible(fault, ("This task runs in a container, and no container engine works here.", *sentences))

    def forget(self) -> None:
        """The engine broke: the next task finds out anew."""
        (self.directory / VERDICT_FILE).unlink(missing_ok=True)

    def known(self) -> Flavour | None:
        """The verdict of a task before, while it is young."""
        try:
            body = json.loads((self.directory / VERDICT_FILE).read_text())
            young = 0 <= time.time() - body["found_at"] < KEPT_SECONDS
            same = body["preferred"] == self.preferred and body["user"] == os.getuid()
            return flavour_of(body["flavour"]) if young and same else None
        except (OSError, ValueError, KeyError, TypeError, Refusal):
            return None

    def _keep(self, flavour: Flavour) -> None:
        body = {
            "flavour": flavour_words(flavour),
            "preferred": self.preferred,
            "user": os.getuid(),
            "found_at": time.time(),
        }
        temporary = self.directory / f".{VERDICT_FILE}.{os.getpid()}"
        temporary.write_text(json.dumps(body))
        os.replace(temporary, self.directory / VERDICT_FILE)


def _user() -> str:
    """Whose rights the program has: the client's own user, who is seldom the person that reads what to do."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
