"""The line to a Triton server: how long to wait for it, and errors that say whose fault it was."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

import tritonclient.grpc as grpc
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_delay, wait_random_exponential
from tritonclient.utils import InferenceServerException

from aisc.adapters.triton_endpoint import Endpoint
from aisc.errors import PlatformError, TransientError

_TRANSIENT: Final = frozenset(
    {"UNAVAILABLE", "DEADLINE_EXCEEDED", "INTERNAL", "NOT_FOUND", "CANCELLED", "ABORTED", "RESOURCE_EXHAUSTED"}
    | {"UNKNOWN"}
)
"""What a server says that restarts, loads, hangs, or has lost its Python process or a caller's shared memory."""
# Without these a channel waits up to two minutes before it looks again for a server that is back.
_CHANNEL: Final = [
    ("grpc.initial_reconnect_backoff_ms", 100), ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000), ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1), ("grpc.enable_http_proxy", 0),
]  # fmt: skip

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for a server.

    Attributes:
        answer_s: Seconds for one request, the queue before it included.
        outage_s: Seconds that an outage may last before a request is given up.
        pause_s: Longest pause between two tries, in seconds; the first are shorter, and drawn at random.
    """

    answer_s: float = 30.0
    outage_s: float = 180.0
    pause_s: float = 2.0


class TritonLink:
    """A client and the rules for trying again."""

    def __init__(self, endpoint: Endpoint, patience: Patience) -> None:
        """Make the client; nothing is sent yet."""
        self.endpoint = endpoint
        self.patience = patience
        self.client = grpc.InferenceServerClient(endpoint.address, channel_args=_CHANNEL)

    def persist(self, what: str, action: Callable[[], T]) -> T:
        """Do something until it works, it fails for good, or patience ends.

        Args:
            what: What is done, for messages: ``asking ires``.
            action: May run several times, each from its beginning.

        Raises:
            TransientError: VICTIMS_UNAVAILABLE, when patience ends.
            PlatformError: VICTIMS_FAILED, or what ``action`` raises.
        """
        retrying = Retrying(
            retry=retry_if_exception(is_transient),
            stop=stop_after_delay(self.patience.outage_s),
            wait=wait_random_exponential(multiplier=0.1, max=self.patience.pause_s),
            retry_error_callback=_last_error,
        )
        try:
            return retrying(action)
        except InferenceServerException as error:
            raise self.explained(what, error) from error

    def explained(self, what: str, error: InferenceServerException) -> TransientError | PlatformError:
        """Say in our words what failed, whose fault it is and what to do."""
        reason = f"{status(error)}: {error.message()}"[:300]
        if is_transient(error):
            return TransientError(
                "VICTIMS_UNAVAILABLE",
                f"The victims' server at {self.endpoint.address} failed for {self.patience.outage_s:.0f} s at {what} "
                f"({reason}).",
                "It is tried again later; look at the server's log and its probe if this lasts.",
            )
        return PlatformError(
            "VICTIMS_FAILED",
            f"The victims' server at {self.endpoint.address} failed at {what} ({reason}).",
            "Write the model repository anew with this version of aisc, and start the server again.",
        )


def status(error: InferenceServerException) -> str:
    """Name the gRPC status of a failure in one word; a client that met no server says nothing."""
    return str(error.status() or "StatusCode.UNAVAILABLE").removeprefix("StatusCode.")


def is_transient(error: BaseException) -> bool:
    """Tell what may work when tried again."""
    return isinstance(error, InferenceServerException) and status(error) in _TRANSIENT


def _last_error(state: RetryCallState) -> None:
    """Raise what the last try raised, instead of a wrapper around it."""
    if state.outcome is not None:
        state.outcome.result()
