"""The locked-down Job in which a participant's image runs on a cluster: built and judged as plain data (T01, T02, T04).

The builder writes what is asked for; the checker knows nothing of the builder and refuses whatever is not on its closed
list, so that a field that Kubernetes invents tomorrow is refused today.
"""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aisc.sandbox.contract import BASE_ENVIRONMENT, SANDBOX_USER, Limits
from aisc.submission.findings import Finding, Rule

SERVICE_ACCOUNT: Final = "aisc-sandbox"
_START_SECONDS: Final = 120  # scheduling and pulling, before the program's own clock
_KEEP_SECONDS: Final = 3600
_IMAGE: Final = re.compile(r"[a-z0-9][a-z0-9./:_-]*@sha256:[0-9a-f]{64}")

ISOLATION: Final = Rule("JOB_NOT_ISOLATED", "refused", "Build the Job by `job_manifest` and change nothing in it.")


@dataclass(frozen=True, slots=True)
class JobRequest:
    """One run on a cluster.

    Attributes:
        name: Name of the Job.
        namespace: The sandbox's own namespace.
        image: ``registry/name@sha256:…``.
        command: Program and arguments; empty for the image's own entry point.
        input_claim: Volume claim with the staged inputs, mounted read-only.
        input_folder: Folder in it.
        output_claim: Volume claim of this run alone, sized by its storage class; a trusted step reads it afterwards.
        limits: What the run may use.
        runtime_class: RuntimeClass that names gVisor or another second kernel.
        environment: Further variables, named ``AISC_…``.
    """

    name: str
    namespace: str
    image: str
    command: tuple[str, ...]
    input_claim: str
    input_folder: str
    output_claim: str
    limits: Limits
    runtime_class: str
    environment: Mapping[str, str]


def job_manifest(request: JobRequest) -> dict[str, Any]:
    """Write the Job.

    Limits that a Job cannot carry are the cluster's: processes (kubelet ``podPidsLimit``), log size (kubelet
    ``containerLogMaxSize``), no network (a default-deny policy of the namespace that a test saw enforced).
    """
    limits = request.limits
    labels = {"app.kubernetes.io/part-of": "aisc", "aisc/zone": "sandbox", "aisc/run": request.name}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": request.name, "namespace": request.namespace, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": math.ceil(limits.wall_seconds) + _START_SECONDS,
            "ttlSecondsAfterFinished": _KEEP_SECONDS,
            "template": {"metadata": {"labels": labels}, "spec": _pod(request)},
        },
    }


def _pod(request: JobRequest) -> dict[str, Any]:
    limits = request.limits
    return {
        "automountServiceAccountToken": False,
        "serviceAccountName": SERVICE_ACCOUNT,
        "enableServiceLinks": False,
        "hostNetwork": False,
        "hostPID": False,
        "hostIPC": False,
        "shareProcessNamespace": False,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 1,
        "activeDeadlineSeconds": math.ceil(limits.wall_seconds),
        "runtimeClassName": request.runtime_class,
        # The cluster's resolver would carry data out in look-ups (T13); the API wants one address, and nobody is there.
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["127.0.0.1"]},
        "hostname": BASE_ENVIRONMENT["HOSTNAME"],
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": SANDBOX_USER,
            "runAsGroup": SANDBOX_USER,
            "fsGroup": SANDBOX_USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(request)],
        "volumes": [
            {"name": "input", "persistentVolumeClaim": {"claimName": request.input_claim, "readOnly": True}},
            {"name": "output", "persistentVolumeClaim": {"claimName": request.output_claim}},
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": str(limits.tmp_bytes)}},
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": str(limits.shm_bytes)}},
        ],
    }


def _container(request: JobRequest) -> dict[str, Any]:
    limits = request.limits
    amounts: dict[str, str] = {
        "cpu": f"{math.ceil(limits.cpus * 1000)}m",
        "memory": str(limits.memory_bytes),
        "ephemeral-storage": str(limits.log_bytes),
    }
    if limits.gpus:
        amounts["nvidia.com/gpu"] = str(limits.gpus)
    environment = {**BASE_ENVIRONMENT, **request.environment}
    container: dict[str, Any] = {
        "name": "participant",
        "image": request.image,
        "imagePullPolicy": "IfNotPresent",
        "env": [{"name": name, "value": value} for name, value in sorted(environment.items())],
        "resources": {"limits": amounts, "requests": dict(amounts)},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "privileged": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
        "volumeMounts": [
            {"name": "input", "mountPath": "/input", "readOnly": True, "subPath": request.input_folder},
            {"name": "output", "mountPath": "/output"},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a path inside the sandbox
            {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108 - a path inside the sandbox
        ],
    }
    if request.command:
        container["command"] = list(request.command)
    return container


_POD_KEYS: Final = frozenset(
    {
        *("automountServiceAccountToken", "serviceAccountName", "enableServiceLinks", "hostNetwork", "hostPID"),
        *("hostIPC", "shareProcessNamespace", "restartPolicy", "terminationGracePeriodSeconds", "runtimeClassName"),
        *("activeDeadlineSeconds", "dnsPolicy", "dnsConfig", "hostname", "securityContext", "containers", "volumes"),
        *("nodeSelector", "tolerations", "schedulingGates"),  # where it runs, which a queue may decide
    }
)
_CONTAINER_KEYS: Final = frozenset(
    {
        *("name", "image", "imagePullPolicy", "command", "args", "env", "resources", "securityContext"),
        *("terminationMessagePath", "terminationMessagePolicy", "volumeMounts"),
    }
)
_MUST_BE: Final[Mapping[tuple[str, ...], object]] = {
    ("automountServiceAccountToken",): False,
    ("serviceAccountName",): SERVICE_ACCOUNT,
    ("enableServiceLinks",): False,
    ("restartPolicy",): "Never",
    ("dnsPolicy",): "None",
    ("dnsConfig",): {"nameservers": ["127.0.0.1"]},
    ("securityContext",): {
        "runAsNonRoot": True,
        "runAsUser": SANDBOX_USER,
        "runAsGroup": SANDBOX_USER,
        "fsGroup": SANDBOX_USER,
        "seccompProfile": {"type": "RuntimeDefault"},
    },
}
_CONTAINER_SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "privileged": False,
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
}
_MUST_NOT: Final = ("hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace")
_MOUNTS: Final = {"/input": "input", "/output": "output", "/tmp": "tmp", "/dev/shm": "shm"}  # noqa: S108


def isolation_findings(job: Mapping[str, Any]) -> list[Finding]:
    """Judge a Job: every deviation from the closed list of what a sandboxed pod may say (T04).

    Args:
        job: A manifest as plain values, from whatever source.

    Returns:
        One finding a deviation; empty if the Job may be created.
    """
    return [ISOLATION.broken(where, message) for where, message in _deviations(job)]


def _deviations(job: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    spec = _object(job.get("spec"))
    if job.get("apiVersion") != "batch/v1" or job.get("kind") != "Job":
        yield "kind", "It is not a batch/v1 Job."
    if spec.get("backoffLimit") != 0:
        yield "backoffLimit", "A retry would be an attempt that nobody counts."
    if not _positive(spec.get("activeDeadlineSeconds")):
        yield "activeDeadlineSeconds", "The Job has no deadline."
    pod = _object(_object(spec.get("template")).get("spec"))
    yield from _pod_deviations(pod)
    containers = pod.get("containers")
    if not isinstance(containers, list) or len(containers) != 1:
        yield "containers", "The pod must have exactly one container."
        return
    yield from _container_deviations(_object(containers[0]))
    yield from _volume_deviations(pod.get("volumes"))


def _pod_deviations(pod: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in sorted(set(pod) - _POD_KEYS):
        yield key, f"The pod field `{key}` is not on the list."
    for (key,), value in _MUST_BE.items():
        if pod.get(key) != value or type(pod.get(key)) is not type(value):
            yield key, f"The pod field `{key}` must be {value!r}."
    for key in _MUST_NOT:
        if pod.get(key) not in (None, False):
            yield key, f"The pod field `{key}` must not be set."
    if not pod.get("runtimeClassName"):
        yield "runtimeClassName", "No runtime class is named."
    if not _positive(pod.get("activeDeadlineSeconds")):
        yield "activeDeadlineSeconds", "The pod has no deadline."
    grace = pod.get("terminationGracePeriodSeconds")
    if not isinstance(grace, int) or isinstance(grace, bool) or not 0 <= grace <= 5:
        yield "terminationGracePeriodSeconds", "A program that is out of time gets at most five seconds more."


def _container_deviations(container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for key in sorted(set(container) - _CONTAINER_KEYS):
        yield key, f"The container field `{key}` is not on the list."
    if not _IMAGE.fullmatch(str(container.get("image"))):
        yield "image", "The image is not named by its digest."
    if container.get("securityContext") != _CONTAINER_SECURITY:
        yield "securityContext", "The container's security context is not the one of the sandbox."
    if container.get("terminationMessagePolicy") != "File":
        yield "terminationMessagePolicy", "The log must not become the pod's status."
    for variable in container.get("env") or []:
        name = variable.get("name", "")
        if set(variable) != {"name", "value"} or not (name in BASE_ENVIRONMENT or name.startswith("AISC_")):
            yield "env", f"The variable `{name}` is not on the allow-list, or not a plain value."
    resources = _object(container.get("resources"))
    limits = _object(resources.get("limits"))
    if not {"cpu", "memory", "ephemeral-storage"} <= set(limits) or set(resources) - {"limits", "requests"}:
        yield "resources", "CPU, memory and local storage must be limited."
    mounts = {mount.get("mountPath"): mount for mount in container.get("volumeMounts") or []}
    if {path: mount.get("name") for path, mount in mounts.items()} != _MOUNTS:
        yield "volumeMounts", f"Exactly {', '.join(sorted(_MOUNTS))} must be mounted."
    elif mounts["/input"].get("readOnly") is not True:
        yield "volumeMounts", "The input must be read-only."
    for mount in mounts.values():
        if set(mount) - {"name", "mountPath", "readOnly", "subPath"} or ".." in str(mount.get("subPath", "")).split(
            "/"
        ):
            yield "volumeMounts", f"The mount of {mount.get('mountPath')} says more than it may."


def _volume_deviations(volumes: object) -> Iterator[tuple[str, str]]:
    found = {volume.get("name"): volume for volume in volumes} if isinstance(volumes, list) else {}
    if set(found) != set(_MOUNTS.values()) or len(found) != len(volumes if isinstance(volumes, list) else []):
        yield "volumes", "Exactly input, output, tmp and shm must be there."
        return
    for name in ("tmp", "shm"):
        empty = _object(found[name].get("emptyDir"))
        if set(found[name]) != {"name", "emptyDir"} or not empty.get("sizeLimit"):
            yield "volumes", f"`{name}` must be a sized folder in memory."
    for name in ("input", "output"):
        claim = _object(found[name].get("persistentVolumeClaim"))
        if set(found[name]) != {"name", "persistentVolumeClaim"} or not claim.get("claimName"):
            yield "volumes", f"`{name}` must be a volume claim."
    if _object(found["input"].get("persistentVolumeClaim")).get("readOnly") is not True:
        yield "volumes", "The input claim must be read-only."


def _object(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _positive(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
