"""Docker, with gVisor's ``runsc`` as the runtime where the daemon has it, plain ``runc`` else.

The container lives below a control group of ours and writes into folders of ours, so that what the kernel counted and
what the program left can be read after the container is gone.
"""

import contextlib
import os
import threading
import uuid
from collections.abc import Iterator
from typing import Any, Final

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from docker.types import Ulimit
from docker.utils.socket import frames_iter_no_tty

from aisc.errors import PlatformError, UsageError
from aisc.sandbox.bounded_log import BoundedLog
from aisc.sandbox.cgroups import ControlGroup, new_group
from aisc.sandbox.contract import (
    BASE_ENVIRONMENT,
    MIB,
    SANDBOX_USER,
    SandboxRequest,
    SandboxResult,
)
from aisc.sandbox.finish import Start, run_to_the_end
from aisc.sandbox.kept_image import CheckedImage, docker_archive
from aisc.sandbox.own_code import program_version
from aisc.sandbox.seccomp import docker_profile
from aisc.sandbox.volumes import Volumes

RUNTIMES: Final = ("runsc", "runc")
# gVisor's own kernel and file server have about 35 host threads, and each process inside takes about one and a half:
# measured with 0 to 60 sleeping processes. With runsc the limit is therefore met within a few processes, not exactly.
_GVISOR_THREADS: Final = 48
# Memory of gVisor's own kernel, counted with the program's.
_RUNTIME_MEMORY: Final = {"runc": 0, "runsc": 48 * MIB}
_CALL_SECONDS: Final = 120
_NOT_STARTABLE: Final = frozenset({126, 127})  # what a runtime reports for a program that it cannot execute


class DockerDriver:
    """Runs programs in containers of a local Docker daemon.

    Args:
        url: Where the daemon listens, such as ``unix:///var/run/docker.sock``; ``None`` for what ``DOCKER_HOST`` says.
        runtime: ``runc`` or ``runsc``.

    Raises:
        UsageError: ``SANDBOX_DOCKER``: no daemon answers, or it lacks what the sandbox needs.
    """

    def __init__(self, url: str | None, runtime: str) -> None:
        """Connect and check what the daemon has."""
        try:
            self._client = docker.DockerClient(base_url=url, timeout=_CALL_SECONDS) if url else docker.from_env()
            info = self._client.info()
        except (DockerException, OSError) as error:
            where = url or os.environ.get("DOCKER_HOST") or "its usual socket"
            raise UsageError(
                "SANDBOX_DOCKER", f"No Docker daemon answers at {where}.", "Start dockerd, or set DOCKER_HOST."
            ) from error
        if runtime not in info["Runtimes"]:
            raise UsageError(
                "SANDBOX_DOCKER", f"The Docker daemon has no runtime `{runtime}`.", "Install it and name it to dockerd."
            )
        if info["CgroupDriver"] != "cgroupfs":
            raise UsageError(
                "SANDBOX_DOCKER",
                f"The Docker daemon leaves control groups to {info['CgroupDriver']}, and the sandbox sets its own.",
                "Start a second dockerd for the sandbox with --exec-opt native.cgroupdriver=cgroupfs.",
            )
        self._runtime = runtime
        self._info = info
        self.name = f"docker+{runtime}"

    def versions(self) -> dict[str, str]:
        """Name the daemon, its helpers and the runtime; see :class:`aisc.sandbox.contract.SandboxDriver`."""
        program = self._info["Runtimes"][self._runtime].get("path", self._runtime)
        commits = {name: self._info[f"{name}Commit"]["ID"] for name in ("Containerd", "Runc")}
        return {"docker": self._info["ServerVersion"], self._runtime: program_version(program), **commits}

    def admit(self, image: CheckedImage) -> None:
        """Load the archive into the daemon, unless it has the image.

        Raises:
            PlatformError: ``SANDBOX_ADMIT``: the daemon does not take the archive, or names it otherwise than we do.
        """
        if self._has(image.digest):
            return
        try:
            self._client.api.load_image(docker_archive(image))
        except (DockerException, OSError) as error:
            raise PlatformError("SANDBOX_ADMIT", f"Docker cannot load {image.digest}: {error}.") from error
        if not self._has(image.digest):
            raise PlatformError("SANDBOX_ADMIT", f"Docker loaded {image.digest} under another digest.")

    def _has(self, digest: str) -> bool:
        try:
            return bool(self._client.api.inspect_image(digest)["Id"] == digest)
        except ImageNotFound:
            return False

    def run(self, request: SandboxRequest) -> SandboxResult:
        """Run a program; see :class:`aisc.sandbox.contract.SandboxDriver`."""
        return run_to_the_end(self.name, request, self._group, self._start)

    def _group(self, request: SandboxRequest) -> ControlGroup:
        return new_group(
            uuid.uuid4().hex,
            request.limits,
            extra_processes=self._own_threads(request),
            extra_memory=_RUNTIME_MEMORY[self._runtime],
        )

    def _own_threads(self, request: SandboxRequest) -> int:
        return _GVISOR_THREADS + request.limits.processes // 2 if self._runtime == "runsc" else 0

    @contextlib.contextmanager
    def _start(self, request: SandboxRequest, start: Start) -> Iterator["_Container"]:
        try:
            listed = self._client.api.inspect_image(request.image)["Config"]["Env"] or []
            of_image = {name: value for name, _, value in (text.partition("=") for text in listed)}
            container = self._client.api.create_container(
                request.image,
                list(request.command) or None,
                entrypoint="" if request.command else None,
                user=f"{SANDBOX_USER}:{SANDBOX_USER}",
                environment=request.full_environment(of_image),
                hostname=BASE_ENVIRONMENT["HOSTNAME"],
                network_disabled=True,
                host_config=self._host_config(request, start.group, start.volumes),
                labels={"aisc": "sandbox"},
                healthcheck={"test": ["NONE"]},
                use_config_proxy=False,
            )
        except DockerException as error:
            raise PlatformError("SANDBOX_DOCKER", f"Docker does not create the container: {error}.") from error
        guest = _Container(self._client.api, container["Id"], start.group, start.log)
        try:
            guest.start()
            yield guest
        finally:
            guest.remove()

    def _host_config(self, request: SandboxRequest, group: ControlGroup, volumes: Volumes) -> dict[str, Any]:
        limits = request.limits
        binds = {
            str(volumes.input): {"bind": "/input", "mode": "ro"},
            str(volumes.output): {"bind": "/output", "mode": "rw"},
            str(volumes.tmp): {"bind": "/tmp", "mode": "rw"},  # noqa: S108 - a path inside the sandbox
            str(volumes.shm): {"bind": "/dev/shm", "mode": "rw"},  # noqa: S108 - a path inside the sandbox
        }
        config: dict[str, Any] = self._client.api.create_host_config(
            binds=binds,
            runtime=self._runtime,
            cgroup_parent=group.runtime_parent,
            network_mode="none",
            ipc_mode="private",
            read_only=True,
            cap_drop=["ALL"],
            security_opt=["no-new-privileges", f"seccomp={docker_profile()}"],
            log_config={"Type": "none"},
            restart_policy={"Name": "no"},
            ulimits=[Ulimit(name="core", soft=0, hard=0), Ulimit(name="nofile", soft=4096, hard=4096)],
            # A second line behind our own group's limits, which are tighter and therefore the ones that count.
            mem_limit=limits.memory_bytes + _RUNTIME_MEMORY[self._runtime] + 64 * MIB,
            memswap_limit=limits.memory_bytes + _RUNTIME_MEMORY[self._runtime] + 64 * MIB,
            pids_limit=limits.processes + self._own_threads(request) + 64,
        )
        # What the kernel offers below /proc and /sys stays hidden, as by default, even if a later daemon shows more.
        config["CgroupnsMode"] = "private"
        return config


class _Container:
    """One container as the supervisor sees it."""

    def __init__(self, api: Any, number: str, group: ControlGroup, log: BoundedLog) -> None:  # noqa: ANN401 - untyped SDK
        self._api = api
        self._number = number
        self._group = group
        self._log = log
        self._done = threading.Event()
        self._threads: list[threading.Thread] = []
        self._failed_start: int | None = None

    def start(self) -> None:
        """Attach before the first byte can be lost, start, wait in the background.

        Raises:
            PlatformError: ``SANDBOX_DOCKER``: the runtime did not start the container, for another reason than a
                program that cannot be executed.
        """
        stream = self._api.attach_socket(self._number, params={"stdout": 1, "stderr": 1, "stream": 1})
        self._begin(self._read, stream)
        try:
            self._api.start(self._number)
        except APIError as error:
            code = self._state()["ExitCode"]
            if code not in _NOT_STARTABLE:
                raise PlatformError("SANDBOX_DOCKER", f"Docker does not start the container: {error}.") from error
            self._failed_start = code
            self._done.set()
            return
        self._begin(self._wait)

    def _begin(self, target: Any, *arguments: Any) -> None:  # noqa: ANN401 - any call
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        thread.start()
        self._threads.append(thread)

    def _read(self, stream: Any) -> None:  # noqa: ANN401 - the SDK gives one of three socket types
        with contextlib.suppress(OSError, ValueError):
            self._log.feed(chunk for _, chunk in frames_iter_no_tty(stream))
        stream.close()

    def _wait(self) -> None:
        try:
            self._api.wait(self._number, timeout=None)
        except (DockerException, OSError):
            pass  # `exit_code` asks again and finds out why
        finally:
            self._done.set()

    def ended(self, seconds: float) -> bool:
        """Wait for the end."""
        return self._done.wait(seconds)

    def kill(self) -> None:
        """Kill through the runtime and through the control group, whichever is faster."""
        with contextlib.suppress(DockerException, OSError):
            self._api.kill(self._number)
        self._group.kill()
        self._done.wait(_CALL_SECONDS)

    def exit_code(self) -> int | None:
        """Give the exit status."""
        if self._failed_start is not None:
            return self._failed_start
        try:
            state = self._state()
        except (DockerException, OSError) as error:
            raise PlatformError("SANDBOX_DOCKER", f"The container was lost while it ran: {error}.") from error
        if state["Status"] not in ("exited", "dead"):
            raise PlatformError("SANDBOX_DOCKER", f"The container did not end; its state is {state['Status']}.")
        return int(state["ExitCode"])

    def oom_reported(self) -> bool:
        """Whether Docker says that memory ran out."""
        try:
            return bool(self._state()["OOMKilled"])
        except (DockerException, OSError):
            return False

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = self._api.inspect_container(self._number)["State"]
        return state

    def remove(self) -> None:
        """Remove the container, ended or not."""
        with contextlib.suppress(NotFound):
            try:
                self._api.remove_container(self._number, force=True)
            except (DockerException, OSError) as error:
                raise PlatformError("SANDBOX_DOCKER", f"Docker does not remove a container: {error}.") from error
        for thread in self._threads:
            thread.join(timeout=5)
