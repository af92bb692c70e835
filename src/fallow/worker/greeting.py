"""The first message: who this worker is and what it has."""

from fallow.clock import SystemClock
from fallow.protocols.rest import work as wire
from fallow.worker import machine
from fallow.worker.equipment import Equipment
from fallow.worker.identity import Identity
from fallow.worker.images import kept_images
from fallow.worker.options import AgentOptions


def hello(options: AgentOptions, identity: Identity, equipment: Equipment, session: str) -> wire.Hello:
    """Said at each start, and again when the server has forgotten. session: new at each start."""
    return wire.Hello(
        public_key=identity.public_key,
        session=session,
        name=options.name,
        capability=wire.CapabilityMessage(
            platform=machine.platform_name(),
            cores=options.cpus or float(machine.cores()),
            memory_bytes=options.memory_bytes or machine.memory_bytes(),
            disk_bytes=machine.disk_bytes_free(options.data_dir),
            slots=options.slot_count,
            engines=equipment.names,
            contracts=equipment.contracts,
            accelerators=equipment.accelerators,
            version=machine.fallow_version(),
            images=kept_images(equipment.containers) if equipment.containers else (),
        ),
        time=SystemClock().now(),
        label=options.label,
        signature=identity.sign(b"fallow-hello:" + session.encode()),
    )
