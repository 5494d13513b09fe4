"""ship: segments to a Kelp server."""

from kelp.agent.ship.client import Client
from kelp.agent.ship.shipper import Outbox, Shipper

__all__ = ["Client", "Outbox", "Shipper"]
