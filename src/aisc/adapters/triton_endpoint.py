"""Where victims are served, as the environment tells it; reading this loads no client."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aisc.errors import UsageError

ADDRESS: Final = "AISC_VICTIMS_ADDRESS"
MEMORY_KEY: Final = "AISC_TRITON_MEMORY_KEY"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where victims are served.

    Attributes:
        address: ``host:port`` of the server's gRPC.
        memory_key: Lets a caller on the server's own machine hand pictures over in shared memory; never shown.
    """

    address: str
    memory_key: str | None = field(repr=False, default=None)

    @property
    def environment(self) -> dict[str, str]:
        """The variables that ``endpoint_from`` reads."""
        key = {MEMORY_KEY: self.memory_key} if self.memory_key else {}
        return {ADDRESS: self.address, **key}


def endpoint_from(environ: Mapping[str, str]) -> Endpoint | None:
    """Read where victims are served; nothing when the environment names no server.

    Raises:
        UsageError: VICTIMS_ADDRESS.
    """
    address = environ.get(ADDRESS)
    if not address:
        return None
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        message = f"{ADDRESS} is {address!r}, not of the form host:port."
        raise UsageError("VICTIMS_ADDRESS", message, "Give the host and the gRPC port of the victims' server.")
    return Endpoint(address, environ.get(MEMORY_KEY) or None)
