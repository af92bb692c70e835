"""Puts the rooms together: the one place that knows which adapter stands behind which port."""

from fallow.wiring.embedded import EmbeddedServer, start_embedded
from fallow.wiring.serving import OnReady, serve
from fallow.wiring.system import System, build

__all__ = ["EmbeddedServer", "OnReady", "System", "build", "serve", "start_embedded"]
