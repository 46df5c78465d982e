"""What the walls cost at the start of a run: a sandboxed run that does nothing, against the bare runtime's own.

Run as root: ``python -m tests.benchmarks.sandbox_start [--rounds 15] [--most 1.15]``. The peers start the same image
without our walls: ``docker run`` with the same runtime and daemon, and ``bwrap`` with all its namespaces. A stricter
peer is printed as well: the same calls to the daemon, without the ``docker`` program, the network and the log file that
a sandboxed run has not. Each side runs from the request to the end, folders and container removed again, in turns, so
that a busy machine slows all alike; the medians of the paired ratios count.

Exits with 1 if a ``docker run`` ratio is over ``--most``. bubblewrap is not within that: its own start takes so few
milliseconds that control groups, sized folders and another user cost several times as much, and still a fraction of any
container. Its ratio has a bound of its own, ``--most-bwrap``, so that it does not grow unseen.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker

from aisc.errors import UsageError
from aisc.sandbox.base_image import write_base_image
from aisc.sandbox.choose import available_drivers
from aisc.sandbox.contract import MIB, Limits, SandboxDriver, SandboxRequest, Verdict
from aisc.sandbox.image_archive import check_image
from aisc.sandbox.kept_image import CheckedImage
from tests.services import docker_daemon

LIMITS = Limits(memory_bytes=256 * MIB, tmp_bytes=32 * MIB, shm_bytes=32 * MIB, output_bytes=32 * MIB)
PROGRAM = "/bin/true"
Start = Callable[[], None]


def seconds(start: Start) -> float:
    """Time one start."""
    begin = time.perf_counter()
    start()
    return time.perf_counter() - begin


def sandboxed(driver: SandboxDriver, image: CheckedImage, place: Path) -> Start:
    """Run by the driver."""

    def start() -> None:
        output = Path(tempfile.mkdtemp(dir=place))
        result = driver.run(SandboxRequest(image.digest, (PROGRAM,), place / "input", output, (), LIMITS))
        if result.verdict is not Verdict.COMPLETED:
            raise SystemExit(f"{driver.name}: {result}")

    return start


def by_command(url: str, runtime: str, image: CheckedImage) -> Start:
    """Run by ``docker run``."""
    words = ["docker", "-H", url, "run", "--rm", "--network=none", f"--runtime={runtime}", image.digest, PROGRAM]
    return lambda: _call(words)


def by_sdk(url: str, runtime: str, image: CheckedImage) -> Start:
    """Run by the calls that ``docker run`` makes, and spare the daemon the network and the log as the sandbox does."""
    api: Any = docker.APIClient(base_url=url)

    def start() -> None:
        config = api.create_host_config(runtime=runtime, network_mode="none", log_config={"Type": "none"})
        number = api.create_container(image.digest, [PROGRAM], host_config=config, network_disabled=True)["Id"]
        stream = api.attach_socket(number, params={"stdout": 1, "stderr": 1, "stream": 1})
        api.start(number)
        api.wait(number)
        stream.close()
        api.remove_container(number)

    return start


def by_bwrap(images: Path, image: CheckedImage) -> Start:
    """Run by ``bwrap`` in the unpacked image."""
    root = images / image.digest.removeprefix("sha256:") / "root"
    words = ["bwrap", "--unshare-all", "--ro-bind", str(root), "/", "--proc", "/proc", "--dev", "/dev"]
    return lambda: _call([*words, "--tmpfs", "/tmp", PROGRAM])  # noqa: S108 - a path inside the sandbox


def _call(words: list[str]) -> None:
    subprocess.run(words, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def compare(name: str, ours: Start, peers: dict[str, Start], rounds: int) -> dict[str, tuple[float, float]]:
    """Print times and ratios; give the ratio and the difference in seconds for each peer."""
    for start in (ours, *peers.values()):
        start()  # the first run of each is not counted
    columns: dict[str, list[float]] = {label: [] for label in ("sandbox", *peers)}
    for _ in range(rounds):
        for label, start in {"sandbox": ours, **peers}.items():
            columns[label].append(seconds(start))
    found = {}
    for label in peers:
        pairs = list(zip(columns["sandbox"], columns[label], strict=True))
        found[label] = statistics.median(a / b for a, b in pairs), statistics.median(a - b for a, b in pairs)
        a, b = (1000 * statistics.median(columns[each]) for each in ("sandbox", label))
        print(f"{name:13} {a:6.1f} ms   {label:22} {b:6.1f} ms   ratio {found[label][0]:.2f}", flush=True)
    return found


@contextmanager
def prepared() -> Iterator[tuple[list[SandboxDriver], str, Path, CheckedImage]]:
    """Start a daemon where one can be had, and make the image known to every driver."""
    with tempfile.TemporaryDirectory(prefix="aisc-bench-") as folder:
        place = Path(folder)
        for name in ("images", "checked", "input"):
            (place / name).mkdir()
        write_base_image(place / "image.tar")
        image = check_image(place / "image.tar", place / "checked").image
        assert image is not None
        with docker_daemon.running_docker() if not docker_daemon.why_not() else _no_daemon() as daemon:
            drivers, reasons = available_drivers(place / "images", daemon.url)
            for reason in reasons:
                print(f"not here: {reason}")
            for driver in drivers:
                driver.admit(image)
            yield drivers, daemon.url, place, image


@contextmanager
def _no_daemon() -> Iterator[Any]:
    yield argparse.Namespace(url="unix:///nowhere")


def main() -> int:
    """Measure every driver of this machine; 1 when a bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--most", type=float, default=1.15, help="largest ratio to docker run that passes")
    parser.add_argument("--most-bwrap", type=float, default=7.0, help="largest ratio to bare bwrap that passes")
    options = parser.parse_args()
    broken = []
    try:
        with prepared() as (drivers, url, place, image):
            for driver in drivers:
                ours = sandboxed(driver, image, place)
                if driver.name == "bubblewrap":
                    found = compare(driver.name, ours, {"bwrap": by_bwrap(place / "images", image)}, options.rounds)
                    print(f"{'':13} {1000 * found['bwrap'][1]:6.1f} ms beyond its peer")
                    broken += [driver.name] if found["bwrap"][0] > options.most_bwrap else []
                    continue
                runtime = driver.name.removeprefix("docker+")
                peers = {f"same calls, {runtime}": by_sdk(url, runtime, image)}
                if shutil.which("docker"):
                    peers = {f"docker run, {runtime}": by_command(url, runtime, image), **peers}
                found = compare(driver.name, ours, peers, options.rounds)
                broken += [driver.name] if next(iter(found.values()))[0] > options.most else []
    except UsageError as error:
        print(f"nothing measured: {error}; run 'sudo tests/services/install_sandbox.sh'")
    print(f"over the bound: {', '.join(broken)}" if broken else f"within the bounds ({options.most}x docker run)")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
