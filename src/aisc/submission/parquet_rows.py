"""Parquet into lines of CSV, in a process of its own whose memory and time are bounded (THREATS T37).

A Parquet file can promise little and unfold to much: sizes in its footer and pages need not be true, and one long
dictionary entry may stand in every row. The library that reads it was not made for strangers' files. So neither its
promises nor the library are relied on: it runs in a process that may take so much and no more, and the rows that come
out are checked as if they had been a CSV file.
"""

import contextlib
import re
import subprocess
import sys
from collections.abc import Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any, BinaryIO, Final

from aisc.errors import PlatformError

_MAGIC: Final = b"PAR1"
_ADDRESS_SPACE: Final = 1 << 30
_SECONDS: Final = 30
_LARGEST_LINE: Final = 1024
_BATCH: Final = 1024
_ID: Final = re.compile(r"[0-9a-f]{16}")


class Outcome(IntEnum):
    """How reading ended; the numbers are the process's exit statuses."""

    DONE = 0
    DAMAGED = 11
    COLUMNS = 12
    TYPES = 13
    COST = 14


def is_parquet(path: Path) -> bool:
    """Tell whether a file begins as Parquet files do; no CSV table does."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def write_lines(path: Path, columns: Sequence[str], most_rows: int, target: BinaryIO) -> Outcome:
    """Write a Parquet file's rows as lines of CSV with a header.

    An id that is none is left empty, so that no stranger's text reaches the lines; numbers stand as Python writes them.

    Args:
        path: The Parquet file.
        columns: The columns that it must have, in order: ids are ``probe`` and ``g…``, the others numbers.
        most_rows: After so many rows reading ends.
        target: An ordinary file, empty.

    Raises:
        PlatformError: PARQUET_READER: the process did not start.
    """
    command = [sys.executable, "-I", "-m", __name__, str(path), ",".join(columns), str(most_rows)]
    environment = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OMP_NUM_THREADS": "1", "ARROW_IO_THREADS": "1"}
    try:
        ended = subprocess.run(  # noqa: S603 - this program's own module
            command, stdin=subprocess.DEVNULL, stdout=target, stderr=subprocess.DEVNULL, env=environment,
            timeout=2 * _SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Outcome.COST
    if ended.returncode == 1:
        raise PlatformError("PARQUET_READER", "The process that reads Parquet did not start.", "Is pyarrow installed?")
    if ended.returncode in set(Outcome):
        return Outcome(ended.returncode)
    # Killed by a limit, or by a fault of the library that a hostile file provoked.
    return Outcome.COST


def main(path: str, columns: list[str], most_rows: int) -> Outcome:
    """Write the rows to standard output; the process's work."""
    import resource

    import pyarrow
    from pyarrow import parquet

    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE, _ADDRESS_SPACE))
    resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
    most = (most_rows + 1) * _LARGEST_LINE
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    pyarrow.set_cpu_count(1)
    try:
        with parquet.ParquetFile(path) as file:
            schema = file.schema_arrow
            if file.metadata.num_columns != len(columns) or schema.names != columns:
                return Outcome.COLUMNS
            if not all(_fits(pyarrow, field) for field in schema):
                return Outcome.TYPES
            sys.stdout.write(",".join(columns) + "\n")
            left = most_rows
            for batch in file.iter_batches(_BATCH, use_threads=False):
                rows = zip(*(_cells(column.to_pylist()) for column in batch.columns), strict=True)
                for row, _ in zip(rows, range(left), strict=False):
                    sys.stdout.write(",".join(row) + "\n")
                left -= batch.num_rows
                if left <= 0:
                    break
            sys.stdout.flush()
    except MemoryError:  # pyarrow's is one too
        return Outcome.COST
    except Exception:  # whatever a hostile file provokes in a library
        return Outcome.DAMAGED
    return Outcome.DONE


def _fits(pyarrow: Any, field: Any) -> bool:  # noqa: ANN401 - pyarrow brings no types
    kind = field.type
    if field.name == "probe" or field.name.startswith("g"):
        return bool(kind == pyarrow.string() or kind == pyarrow.large_string())
    return bool(kind == pyarrow.float64() or kind == pyarrow.float32())


def _cells(values: list[str | float | None]) -> list[str]:
    return [_cell(value) for value in values]


def _cell(value: str | float | None) -> str:
    if isinstance(value, float):
        return repr(value)
    return value if value is not None and _ID.fullmatch(value) else ""


if __name__ == "__main__":
    status = Outcome.COST
    with contextlib.suppress(MemoryError):
        status = main(sys.argv[1], sys.argv[2].split(","), int(sys.argv[3]))
    sys.exit(status)
