"""One served victim: bound to its digest, believed after its canary, asked several batches at a time."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from typing import Any, Final, NamedTuple

import numpy as np
import tritonclient.grpc as grpc
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from aisc.adapters.triton_link import TritonLink, is_transient, status
from aisc.adapters.triton_memory import SharedPictures
from aisc.errors import PlatformError
from aisc.victims.serving.versions import version_of

AHEAD: Final = 4
"""Batches on their way at once: a model has two instances, each with one batch under work and one waiting."""
_CANARY_SEED: Final = 5
_CANARIES: Final = 2
_SAME: Final = 1e-4
_DTYPES: Final[dict[str, np.dtype[Any]]] = {"UINT8": np.dtype(np.uint8), "FP32": np.dtype(np.float32)}

Array = NDArray[Any]


class Form(NamedTuple):
    """What a served model takes and gives, as its metadata says."""

    name: str
    dtype: np.dtype[Any]
    dims: tuple[int, ...]
    answers: tuple[str, ...]


class Flight(NamedTuple):
    """A batch on its way."""

    question: grpc.InferInput
    landing: "Future[grpc.InferResult]"


class TritonModel:
    """A model of a server, named by its package's digest in every request."""

    def __init__(self, link: TritonLink, name: str, digest: str, batch: int) -> None:
        """Find the model and ask it about a canary.

        Args:
            link: The line to the server.
            name: The name that the victim is served under.
            digest: The package's name by content.
            batch: Most pictures or frames in a request.

        Raises:
            PlatformError: VICTIM_DIFFERS when the server holds another victim under this name; VICTIM_NOT_SERVED;
                VICTIM_OUTPUT_INVALID; VICTIMS_FAILED.
            TransientError: VICTIMS_UNAVAILABLE.
        """
        self._link = link
        self.name = name
        self._digest = digest
        self._version = str(version_of(digest))
        self._batch = batch
        self._known: list[Array] | None = None
        self._form = link.persist(f"looking for {name}", self._believe)

    def ask(self, batches: Iterable[Array]) -> Iterator[list[Array]]:
        """Send batches a few ahead and give each one's answers, in order.

        A batch that fails for a passing reason is sent again, alone, once the server answers its canary as before.

        Args:
            batches: uint8 frames ``(n, h, w, 3)``, or prepared float32 pictures in the layout that was declared.

        Raises:
            PlatformError: VICTIM_DIFFERS; VICTIM_OUTPUT_INVALID; VICTIMS_FAILED.
            TransientError: VICTIMS_UNAVAILABLE.
        """
        key, size = self._link.endpoint.memory_key, self._batch * int(np.prod(self._form.dims))
        memory = SharedPictures(self._link.client, key, AHEAD, size * self._form.dtype.itemsize) if key else None
        pending: deque[Flight] = deque()
        try:
            if memory:
                self._link.persist("sharing memory", memory.register)
            for number, batch in enumerate(batches):
                if len(pending) == AHEAD:
                    yield self._landed(pending.popleft(), memory)
                pending.append(self._sent(self._question(batch, memory, number % AHEAD)))
            while pending:
                yield self._landed(pending.popleft(), memory)
        finally:
            if memory:
                memory.close()

    def _question(self, batch: Array, memory: SharedPictures | None, slot: int) -> grpc.InferInput:
        """Bring a batch into the served form: the same numbers, in the server's own layout and type."""
        shape = (len(batch), *self._form.dims)
        given = batch if batch.shape == shape else batch.transpose(0, 2, 3, 1)
        question = grpc.InferInput(self._form.name, list(shape), _name_of(self._form.dtype))
        if memory:
            memory.write(slot, given, shape, self._form.dtype, question)
        else:
            question.set_data_from_numpy(np.ascontiguousarray(given, dtype=self._form.dtype))
        return question

    def _sent(self, question: grpc.InferInput) -> Flight:
        landing: Future[grpc.InferResult] = Future()

        def arrived(result: grpc.InferResult | None, error: Exception | None) -> None:
            if error is None:
                landing.set_result(result)
            else:
                landing.set_exception(error)

        self._link.client.async_infer(
            self.name, [question], arrived, self._version, client_timeout=self._link.patience.answer_s
        )
        return Flight(question, landing)

    def _landed(self, flight: Flight, memory: SharedPictures | None) -> list[Array]:
        try:
            return self._arrays(flight.landing.result())
        except InferenceServerException as error:
            if not is_transient(error):
                raise self._link.explained(f"asking {self.name}", error) from error

        def again() -> list[Array]:
            self._believe()
            if memory:
                memory.register()
            return self._arrays(self._infer(flight.question))

        return self._link.persist(f"asking {self.name}", again)

    def _infer(self, question: grpc.InferInput) -> grpc.InferResult:
        return self._link.client.infer(
            self.name, [question], self._version, client_timeout=self._link.patience.answer_s
        )

    def _arrays(self, result: grpc.InferResult) -> list[Array]:
        found = [result.as_numpy(name) for name in self._form.answers]
        return [np.array(one) if one is not None else np.empty(0, np.float32) for one in found]

    def _believe(self) -> Form:
        """Check name and digest, then ask about the canary: ready is also said of a model whose process is dead."""
        form = self._form = self._described()
        noise = np.random.default_rng(_CANARY_SEED).integers(0, 256, (_CANARIES, *form.dims), dtype=np.uint8)
        answers = self._arrays(self._infer(self._question(noise.astype(form.dtype), None, 0)))
        if not all(len(one) == _CANARIES and np.isfinite(one).all() and one.any() for one in answers):
            raise PlatformError(
                "VICTIM_OUTPUT_INVALID",
                f"The served victim {self.name} does not answer its canary with finite numbers, one row a picture.",
                "Look at the server's Python: numpy 2 inside the server gives empty answers.",
            )
        if self._known is not None and not _agree(self._known, answers):
            raise self._differs("answers its canary differently than before")
        self._known = answers
        return form

    def _described(self) -> Form:
        """Read the metadata of the very version that the digest names."""
        client, wait = self._link.client, self._link.patience.answer_s
        try:
            found = client.get_model_metadata(self.name, self._version, client_timeout=wait)
        except InferenceServerException as error:
            if status(error) == "NOT_FOUND":
                self._check_absence()
            raise
        question = found.inputs[0]
        return Form(
            question.name, _DTYPES[question.datatype], tuple(question.shape[1:]),
            tuple(one.name for one in found.outputs),
        )  # fmt: skip

    def _check_absence(self) -> None:
        """Refuse at once what no waiting will bring: another victim under this name, or none on a server that is up."""
        client, wait = self._link.client, self._link.patience.answer_s
        try:
            others = client.get_model_metadata(self.name, client_timeout=wait).versions
        except InferenceServerException as error:
            # A victim that was there a moment ago will be there again.
            if status(error) == "NOT_FOUND" and self._known is None and client.is_server_ready(client_timeout=wait):
                raise PlatformError(
                    "VICTIM_NOT_SERVED",
                    f"The victims' server at {self._link.endpoint.address} is up and has no victim {self.name}.",
                    "Serve the victims of this stage too: 'aisc victims serve', or write the model repository anew.",
                ) from error
            raise
        if others and self._version not in others:
            raise self._differs(f"is version {', '.join(others)}")

    def _differs(self, how: str) -> PlatformError:
        return PlatformError(
            "VICTIM_DIFFERS",
            f"The victim that {self._link.endpoint.address} serves as {self.name} {how}; expected is the package "
            f"{self._digest[:12]}, version {self._version}.",
            "Write the model repository anew from the season's victims, and start the server again.",
        )


def _name_of(dtype: np.dtype[Any]) -> str:
    return next(name for name, one in _DTYPES.items() if one == dtype)


def _agree(first: Sequence[Array], second: Sequence[Array]) -> bool:
    return len(first) == len(second) and all(
        one.shape == other.shape and np.allclose(one, other, rtol=0, atol=_SAME * max(1.0, float(np.abs(one).max())))
        for one, other in zip(first, second, strict=True)
    )
