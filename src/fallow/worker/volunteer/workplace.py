"""A slot with its engine, for the attempts of one task; nothing of it is left when it is closed."""

from fallow.worker.contracts.contract import Ceiling
from fallow.worker.engines.oci_engine import Flavour, OciEngine
from fallow.worker.hold import Hold
from fallow.worker.receipts import Signer
from fallow.worker.slot import Outfit, Slot
from fallow.worker.volunteer.endings import say
from fallow.worker.volunteer.guard import Guard
from fallow.worker.volunteer.home import Home
from fallow.worker.volunteer.image_store import ImageStore
from fallow.worker.volunteer.init_data import InitData
from fallow.worker.volunteer.pausable import Pausable
from fallow.worker.volunteer.server import Server


class Workplace:
    """slot: runs attempts. engine: can be paused."""

    def __init__(
        self, flavour: Flavour, home: Home, said: InitData, server: Server, signer: Signer, hold: Hold
    ) -> None:
        bare = OciEngine(flavour, home.label)
        self._guard = Guard(flavour.program, home.label)
        self.engine = Pausable(bare, hold)
        device = said.gpu_device if said.gpu_device >= 0 else None
        outfit = Outfit(
            signer=signer,
            images=ImageStore(home, bare, server, said.disk_bytes),
            containers=self.engine,
            # The guard is the backstop: it knows of pauses, the engine's own clock does not.
            ceiling=Ceiling(said.memory_bytes, said.cpus, device, backstop=False, yielding=True),
            note=say,
        )
        self.slot = Slot(home.work / "slot", outfit)

    def close(self) -> None:
        """Ends the warm container, if there is one."""
        self.slot.close()
        self.engine.close()
        self._guard.dismiss()
