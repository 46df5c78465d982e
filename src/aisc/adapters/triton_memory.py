"""Pictures handed to a server on the same machine: one region of shared memory, cut into slots."""

from contextlib import suppress
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
import tritonclient.grpc as grpc
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

_HEADER = "triton-grpc-protocol-aisc-memory"


class SharedPictures:
    """A region that the server reads. It outlives a restart of the server, which only has to be told of it again."""

    def __init__(self, client: grpc.InferenceServerClient, key: str, slots: int, size: int) -> None:
        """Make a region of ``slots`` times ``size`` bytes; the server does not know of it yet."""
        self._client = client
        self._headers = {_HEADER: key}
        self._size = size
        self._memory = SharedMemory(create=True, size=slots * size)
        self._name = self._memory.name.lstrip("/")

    def register(self) -> None:
        """Tell the server of the region, whether or not it knew of it.

        Raises:
            InferenceServerException: When the server cannot see the region, refuses the key, or is away.
        """
        self._client.unregister_system_shared_memory(self._name, headers=self._headers)
        self._client.register_system_shared_memory(
            self._name, f"/{self._name}", self._memory.size, headers=self._headers
        )

    def write(
        self, slot: int, batch: NDArray[Any], shape: tuple[int, ...], dtype: np.dtype[Any], question: grpc.InferInput
    ) -> None:
        """Copy a batch into a slot and make a question point there."""
        target: NDArray[Any] = np.ndarray(shape, dtype, self._memory.buf, slot * self._size)
        np.copyto(target, batch, casting="unsafe")  # whole grey levels: exact in either type
        question.set_shared_memory(self._name, target.nbytes, slot * self._size)

    def close(self) -> None:
        """Take the region back; a server that is away has forgotten it anyway."""
        with suppress(InferenceServerException):
            self._client.unregister_system_shared_memory(self._name, headers=self._headers, client_timeout=5)
        self._memory.close()
        self._memory.unlink()
