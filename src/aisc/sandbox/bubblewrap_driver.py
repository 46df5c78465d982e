"""bubblewrap where there is no container daemon: fresh namespaces, our own control group, a seccomp filter.

The program runs as an ordinary user of this machine whom nobody else is, inside a user namespace of its own; bubblewrap
itself has no privilege either.
"""

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from aisc.errors import PlatformError, UsageError
from aisc.sandbox.cgroups import ControlGroup, new_group, why_no_cgroups
from aisc.sandbox.child_process import ChildProcess
from aisc.sandbox.contract import BASE_ENVIRONMENT, SANDBOX_USER, SandboxRequest, SandboxResult
from aisc.sandbox.finish import Start, run_to_the_end
from aisc.sandbox.image_config import ImageConfig, layer_digests, parsed_object, read_config
from aisc.sandbox.image_layers import lay_over
from aisc.sandbox.image_rules import ImageLimits
from aisc.sandbox.kept_image import CheckedImage
from aisc.sandbox.own_code import program_version
from aisc.sandbox.seccomp import write_filter
from aisc.sandbox.volumes import DEVICES, make_devices, mount_view

PROGRAMS: Final = ("bwrap", "setpriv")
_OWN_PROCESSES: Final = 2  # bubblewrap outside and its first process inside
_OPEN_FILES: Final = 4096
_NOT_EXECUTABLE: Final = 127  # as shells and container runtimes say it
_CHUNK: Final = 1 << 16
_NOT_JOINED: Final = 125
# Joins the control group before anything of bubblewrap exists, and sets what a shell can set without another program;
# "$1" counts the files that follow.
_JOIN: Final = (
    f'n=$1; shift; while [ "$n" -gt 0 ]; do echo $$ >"$1" || exit {_NOT_JOINED}; shift; n=$((n-1)); done; '
    f'ulimit -c 0 && ulimit -n {_OPEN_FILES} || exit {_NOT_JOINED}; exec "$@"'
)


class BubblewrapDriver:
    """Runs programs by ``bwrap`` in image file systems kept below a folder of ours.

    Args:
        images: Folder for unpacked images; made if missing.

    Raises:
        UsageError: ``SANDBOX_BUBBLEWRAP``: something is missing on this machine.
    """

    name = "bubblewrap"

    def __init__(self, images: Path) -> None:
        """Check the machine by a real start."""
        missing = [program for program in PROGRAMS if shutil.which(program) is None]
        why = f"missing: {', '.join(missing)}" if missing else why_no_cgroups()
        if why:
            raise UsageError(
                "SANDBOX_BUBBLEWRAP",
                f"bubblewrap cannot be used: {why}.",
                "As root: apt-get install --no-install-recommends bubblewrap util-linux libseccomp2",
            )
        self._images = images
        images.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile() as file:
            write_filter(file)
            file.seek(0)
            self._filter = file.read()
        why = _trial()
        if why:
            raise UsageError(
                "SANDBOX_BUBBLEWRAP",
                f"bubblewrap does not start here: {why}.",
                "Allow unprivileged user namespaces (kernel.unprivileged_userns_clone, AppArmor), or use Docker.",
            )

    def versions(self) -> dict[str, str]:
        """Name the programs; see :class:`aisc.sandbox.contract.SandboxDriver`."""
        return {program: program_version(program) for program in PROGRAMS}

    def admit(self, image: CheckedImage) -> None:
        """Unpack the image's layers, unless they are there.

        Raises:
            PlatformError: ``SANDBOX_ADMIT``: the file system cannot be written.
        """
        final = self._folder(image.digest)
        if final.exists():
            return
        staged = Path(tempfile.mkdtemp(dir=self._images, prefix=".unpacking-"))
        try:
            staged.chmod(0o711)
            (staged / "root").mkdir()
            shutil.copyfile(image.folder / "config.json", staged / "config.json")
            layers = [image.layer(layer) for layer in image.config.layers]
            lay_over(layers, staged / "root", ImageLimits().entries)
            for folder in ("dev", "input", "output", "proc", "tmp"):  # what the run is mounted on
                (staged / "root" / folder).mkdir(exist_ok=True)
            staged.rename(final)
        except OSError as error:
            if final.is_dir():  # another run of the same image was faster
                return
            raise PlatformError("SANDBOX_ADMIT", f"{image.digest} cannot be unpacked: {error}.") from error
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _folder(self, digest: str) -> Path:
        return self._images / digest.removeprefix("sha256:")

    def run(self, request: SandboxRequest) -> SandboxResult:
        """Run a program; see :class:`aisc.sandbox.contract.SandboxDriver`."""
        return run_to_the_end(self.name, request, _group, self._start)

    @contextlib.contextmanager
    def _start(self, request: SandboxRequest, start: Start) -> Iterator["_Process"]:
        folder = self._folder(request.image)
        if not folder.is_dir():
            raise PlatformError("SANDBOX_IMAGE", f"The image {request.image} was not admitted here.")
        config = parsed_object((folder / "config.json").read_bytes(), "The image's configuration")
        image = read_config(config, layer_digests(config, ImageLimits()))
        base = start.volumes.tmp.parent
        mount_view(folder / "root", base / "root")
        make_devices(base / "devices")
        with _readable(self._filter) as filter_file:
            status, told = os.pipe()
            words = [*_confinement(start, base), "--seccomp", str(filter_file), "--json-status-fd", str(told)]
            try:
                guest = _Process([*words, *_program(request, image)], (filter_file, told), status, start)
            finally:
                os.close(told)
        try:
            yield guest
        finally:
            guest.close()


def _confinement(start: Start, base: Path) -> list[str]:
    volumes = start.volumes
    devices = (word for name in DEVICES for word in ("--dev-bind", str(base / "devices" / name), f"/dev/{name}"))
    joins = [str(file) for file in start.group.process_files]
    return [
        *("/bin/sh", "-c", _JOIN, "join", str(len(joins)), *joins),
        *_as_sandbox_user(),
        *("bwrap", "--unshare-all", "--unshare-user", "--new-session", "--die-with-parent"),
        *("--hostname", BASE_ENVIRONMENT["HOSTNAME"], "--cap-drop", "ALL"),
        *("--ro-bind", str(base / "root"), "/", "--proc", "/proc", "--dev", "/dev", *devices, "--remount-ro", "/dev"),
        *("--bind", str(volumes.tmp), "/tmp", "--bind", str(volumes.shm), "/dev/shm"),  # noqa: S108
        *("--bind", str(volumes.output), "/output", "--ro-bind", str(volumes.input), "/input"),
        *("--remount-ro", "/", "--clearenv"),
    ]


def _program(request: SandboxRequest, image: ImageConfig) -> list[str]:
    environment = request.full_environment(dict(image.environment))
    variables = (word for name, value in sorted(environment.items()) for word in ("--setenv", name, value))
    return [*variables, "--chdir", image.working_folder, "--", *(request.command or image.command)]


@contextlib.contextmanager
def _readable(data: bytes) -> Iterator[int]:
    """Give the number of an open file with these bytes, at its start."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield file.fileno()


def _group(request: SandboxRequest) -> ControlGroup:
    return new_group(uuid.uuid4().hex, request.limits, extra_processes=_OWN_PROCESSES)


def _trial() -> str:
    """Start a program of our own the same way; say why that fails, or give ``""``."""
    words = ("--unshare-all", "--unshare-user", "--cap-drop", "ALL", "--ro-bind", "/", "/", "--proc", "/proc")
    command = [*_as_sandbox_user(), "bwrap", *words, "--dev", "/dev", "/bin/true"]
    trial = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - our own words
    return trial.stderr.decode(errors="replace").strip() if trial.returncode else ""


def _as_sandbox_user() -> Sequence[str]:
    user = str(SANDBOX_USER)
    return ("setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs", "--inh-caps", "-all")


class _Process(ChildProcess):
    """bubblewrap as the supervisor sees it."""

    def __init__(self, words: list[str], files: tuple[int, ...], status: int, start: Start) -> None:
        self._status = status
        self._group = start.group
        environment = {"PATH": os.environ.get("PATH", os.defpath)}
        try:
            super().__init__(words, environment, Path("/"), start.log, files)
        except PlatformError:
            os.close(status)
            raise

    def exit_code(self) -> int | None:
        """Give the program's exit status as bubblewrap reports it, or the signal that ended bubblewrap itself.

        Raises:
            PlatformError: ``SANDBOX_BUBBLEWRAP``: it ended without having started the program, and that is not the
                program's fault.
        """
        told = os.read(self._status, _CHUNK).decode()
        reports = [json.loads(line) for line in told.splitlines()]
        codes = [report["exit-code"] for report in reports if "exit-code" in report]
        if codes:
            return int(codes[-1])
        if self.process.returncode is not None and self.process.returncode < 0:
            return super().exit_code()
        if self.process.returncode == _NOT_JOINED:
            raise PlatformError("SANDBOX_BUBBLEWRAP", "The program's process could not join its control group.")
        # It set nothing up, or could not execute the program, and says the same for both: try with a program of ours.
        why = _trial()
        if why:
            raise PlatformError("SANDBOX_BUBBLEWRAP", f"bubblewrap no longer starts on this machine: {why}.")
        return _NOT_EXECUTABLE

    def _kill_all(self) -> None:
        self._group.kill()

    def close(self) -> None:
        """Kill what is left and hear its last words."""
        super().close()
        os.close(self._status)
