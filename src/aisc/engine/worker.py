"""One package in one process: ``python -m aisc.engine.worker``.

The process leads its own group and ends the whole group when its parent dies, when it is told to stop (SIGTERM) or when
its lease is lost, so that a killed round leaves nothing running; what was finished by then is in the ledger.
"""

import json
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from aisc.adapters.kfp_local import run_package
from aisc.adapters.workbench import ATTEMPT, LEDGER
from aisc.engine.packages import package_path
from aisc.errors import AiscError
from aisc.ledger import Ledger, open_ledger
from aisc.ledger.leases import BEAT_SECONDS, this_process

PARENT_CHECK_SECONDS = 0.5
VERDICTS = frozenset({"scored", "refused", "failed"})


def main(package: str, arguments: dict[str, Any], root: Path, parent: int) -> int:
    """Run a package; a run of a submission is claimed first and its attempt closed afterwards.

    Args:
        package: Name of the compiled package.
        arguments: The pipeline's parameters; one named ``run_key`` makes this a run of a submission.
        root: Folder for the tasks' artifacts and temporary files; whoever started this process removes it.
        parent: The process that started this one; when it is gone, this one ends.

    Returns:
        0, or 1 when the package failed.
    """
    root.mkdir(parents=True, exist_ok=True)
    os.environ["TMPDIR"] = str(root)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    run_key = arguments.get("run_key")
    if run_key is None:
        threading.Thread(target=_end_when_told, args=(parent, stopped, lambda: None), daemon=True).start()
        return _run(package, arguments, root)
    ledger = open_ledger(os.environ[LEDGER])
    attempt = ledger.runs.claim(run_key, this_process())
    if attempt is None:
        return 0
    os.environ[ATTEMPT] = str(attempt)

    def put_back() -> None:
        ledger.runs.interrupt(run_key, attempt)

    threading.Thread(target=_end_when_told, args=(parent, stopped, put_back), daemon=True).start()
    threading.Thread(target=_beat, args=(ledger, run_key, attempt), daemon=True).start()
    try:
        return _run(package, arguments, root)
    finally:
        ledger.runs.end_attempt(run_key, attempt)


def _run(package: str, arguments: dict[str, Any], root: Path) -> int:
    try:
        run_package(package_path(package), arguments, root)
    except (RuntimeError, AiscError):
        traceback.print_exc()
        return 1
    return 0


def _beat(ledger: Ledger, run_key: str, attempt: int) -> None:
    pause = threading.Event()
    while not pause.wait(BEAT_SECONDS):
        try:
            if not ledger.runs.renew(run_key, attempt):
                run = ledger.runs.get(run_key)
                if run.attempt == attempt and run.state in VERDICTS:
                    return  # this attempt has ended well, and its process is about to
                _end_group("the lease is lost or the run was cancelled")
        except AiscError as error:
            # A ledger that stays away lets the lease run out, and then somebody else takes the run.
            print(f"heartbeat: {error}", file=sys.stderr, flush=True)


def _end_when_told(parent: int, stopped: threading.Event, put_back: Callable[[], None]) -> None:
    while not stopped.wait(PARENT_CHECK_SECONDS):
        if os.getppid() != parent:
            break
    with suppress(AiscError):
        put_back()
    _end_group("told to stop" if stopped.is_set() else "the parent process is gone")


def _end_group(why: str) -> NoReturn:
    print(f"stopping: {why}", file=sys.stderr, flush=True)
    os.killpg(0, signal.SIGKILL)
    raise SystemExit(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], json.loads(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4])))
