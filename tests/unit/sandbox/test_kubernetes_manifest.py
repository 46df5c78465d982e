"""The Job of a sandboxed run: one mutation a forbidden field, each refused (T01, T02, T04)."""

import copy
from collections.abc import Callable
from typing import Any

import pytest

from aisc.sandbox.contract import MIB, Limits
from aisc.sandbox.kubernetes_manifest import JobRequest, isolation_findings, job_manifest

Job = dict[str, Any]
IMAGE = "registry.example/team/program@sha256:" + "a" * 64
REQUEST = JobRequest(
    name="run-1",
    namespace="aisc-sandbox",
    image=IMAGE,
    command=("python", "main.py"),
    input_claim="inputs",
    input_folder="rounds/7",
    output_claim="output-run-1",
    limits=Limits(wall_seconds=90, cpus=2, memory_bytes=4096 * MIB),
    runtime_class="gvisor",
    environment={"AISC_SEED": "1"},
)


def pod(job: Job) -> Job:
    return job["spec"]["template"]["spec"]  # type: ignore[no-any-return]


def container(job: Job) -> Job:
    return pod(job)["containers"][0]  # type: ignore[no-any-return]


def put(where: Callable[[Job], Job], key: str, value: Any) -> Callable[[Job], None]:
    return lambda job: where(job).__setitem__(key, value)


def gone(where: Callable[[Job], Job], key: str) -> Callable[[Job], None]:
    return lambda job: where(job).__delitem__(key)


def security(job: Job) -> Job:
    return container(job)["securityContext"]  # type: ignore[no-any-return]


def pod_security(job: Job) -> Job:
    return pod(job)["securityContext"]  # type: ignore[no-any-return]


def volume(number: int, key: str, value: Any) -> Callable[[Job], None]:
    return lambda job: pod(job)["volumes"].__setitem__(
        number, {"name": pod(job)["volumes"][number]["name"], key: value}
    )


MUTATIONS: dict[str, Callable[[Job], None]] = {
    "privileged": put(security, "privileged", True),
    "escalation": put(security, "allowPrivilegeEscalation", True),
    "escalation left out": gone(security, "allowPrivilegeEscalation"),
    "added capability": put(security, "capabilities", {"drop": ["ALL"], "add": ["SYS_ADMIN"]}),
    "capabilities kept": gone(security, "capabilities"),
    "procMount": put(security, "procMount", "Unmasked"),
    "writable root": put(security, "readOnlyRootFilesystem", False),
    "container runs as root": put(security, "runAsUser", 0),
    "container unconfined": put(security, "seccompProfile", {"type": "Unconfined"}),
    "container SELinux": put(security, "seLinuxOptions", {"type": "spc_t"}),
    "container windows": put(security, "windowsOptions", {"hostProcess": True}),
    "AppArmor": put(security, "appArmorProfile", {"type": "Unconfined"}),
    "pod runs as root": put(pod_security, "runAsUser", 0),
    "root allowed": put(pod_security, "runAsNonRoot", False),
    "sysctl": put(pod_security, "sysctls", [{"name": "kernel.msgmax", "value": "1"}]),
    "supplemental groups": put(pod_security, "supplementalGroups", [0]),
    "pod unconfined": put(pod_security, "seccompProfile", {"type": "Unconfined"}),
    "no seccomp": gone(pod_security, "seccompProfile"),
    "hostNetwork": put(pod, "hostNetwork", True),
    "hostPID": put(pod, "hostPID", True),
    "hostIPC": put(pod, "hostIPC", True),
    "hostUsers": put(pod, "hostUsers", True),
    "shared processes": put(pod, "shareProcessNamespace", True),
    "hostAliases": put(pod, "hostAliases", [{"ip": "10.0.0.1", "hostnames": ["victims"]}]),
    "node chosen": put(pod, "nodeName", "master"),
    "token mounted": put(pod, "automountServiceAccountToken", True),
    "token by default": gone(pod, "automountServiceAccountToken"),
    "other account": put(pod, "serviceAccountName", "evaluator"),
    "old account field": put(pod, "serviceAccount", "evaluator"),
    "service links": put(pod, "enableServiceLinks", True),
    "no runtime class": gone(pod, "runtimeClassName"),
    "priority": put(pod, "priorityClassName", "system-node-critical"),
    "pull secrets": put(pod, "imagePullSecrets", [{"name": "registry"}]),
    "init container": put(pod, "initContainers", [{"name": "x", "image": IMAGE}]),
    "ephemeral container": put(pod, "ephemeralContainers", [{"name": "x", "image": IMAGE}]),
    "second container": lambda job: pod(job)["containers"].append({"name": "x", "image": IMAGE}),
    "no container": put(pod, "containers", []),
    "restarts": put(pod, "restartPolicy", "OnFailure"),
    "cluster resolver": put(pod, "dnsPolicy", "ClusterFirst"),
    "own resolver": put(pod, "dnsConfig", {"nameservers": ["8.8.8.8"]}),
    "pod without deadline": gone(pod, "activeDeadlineSeconds"),
    "long grace": put(pod, "terminationGracePeriodSeconds", 3600),
    "unknown pod field": put(pod, "fieldOfTomorrow", True),
    "tag": put(container, "image", "registry.example/team/program:latest"),
    "tag and digest": put(container, "image", "registry.example/team/program:v1@sha256:short"),
    "secret variable": put(container, "env", [{"name": "AISC_KEY", "valueFrom": {"secretKeyRef": {}}}]),
    "foreign variable": put(container, "env", [{"name": "AWS_SECRET_ACCESS_KEY", "value": "x"}]),
    "envFrom": put(container, "envFrom", [{"secretRef": {"name": "store"}}]),
    "host port": put(container, "ports", [{"containerPort": 80, "hostPort": 80}]),
    "lifecycle": put(container, "lifecycle", {"postStart": {"exec": {"command": ["sh"]}}}),
    "probe": put(container, "livenessProbe", {"httpGet": {"path": "/", "port": 80}}),
    "block device": put(container, "volumeDevices", [{"name": "output", "devicePath": "/dev/x"}]),
    "terminal": put(container, "tty", True),
    "log as status": put(container, "terminationMessagePolicy", "FallbackToLogsOnError"),
    "no limits": put(container, "resources", {}),
    "claims": lambda job: container(job)["resources"].__setitem__("claims", [{"name": "x"}]),
    "writable input": lambda job: container(job)["volumeMounts"][0].__setitem__("readOnly", False),
    "mount escapes": lambda job: container(job)["volumeMounts"][0].__setitem__("subPath", "../other"),
    "subPathExpr": lambda job: container(job)["volumeMounts"][0].__setitem__("subPathExpr", "$(X)"),
    "mount propagation": lambda job: container(job)["volumeMounts"][1].__setitem__("mountPropagation", "Bidirectional"),
    "further mount": lambda job: container(job)["volumeMounts"].append({"name": "output", "mountPath": "/host"}),
    "writable claim": volume(0, "persistentVolumeClaim", {"claimName": "inputs"}),
    "hostPath": volume(1, "hostPath", {"path": "/"}),
    "secret volume": volume(1, "secret", {"secretName": "store"}),
    "projected token": volume(1, "projected", {"sources": [{"serviceAccountToken": {"path": "token"}}]}),
    "config map": volume(1, "configMap", {"name": "x"}),
    "downward API": volume(1, "downwardAPI", {"items": []}),
    "CSI": volume(1, "csi", {"driver": "secrets-store.csi.k8s.io"}),
    "NFS": volume(1, "nfs", {"server": "x", "path": "/"}),
    "unsized folder": volume(2, "emptyDir", {"medium": "Memory"}),
    "further volume": lambda job: pod(job)["volumes"].append({"name": "x", "hostPath": {"path": "/"}}),
    "volume twice": lambda job: pod(job)["volumes"].append({"name": "tmp", "hostPath": {"path": "/"}}),
    "retries": put(lambda job: job["spec"], "backoffLimit", 6),
    "job without deadline": gone(lambda job: job["spec"], "activeDeadlineSeconds"),
    "other kind": put(lambda job: job, "kind", "Pod"),
    "no template": put(lambda job: job["spec"], "template", None),
}  # fmt: skip


def test_T04_the_rendered_job_may_be_created() -> None:
    assert isolation_findings(job_manifest(REQUEST)) == []


@pytest.mark.parametrize("mutation", MUTATIONS, ids=list(MUTATIONS))
def test_T04_one_mutation_is_refused(mutation: str) -> None:
    job = copy.deepcopy(job_manifest(REQUEST))
    MUTATIONS[mutation](job)
    assert isolation_findings(job), mutation


def test_T01_no_token_and_an_account_of_its_own() -> None:
    spec = pod(job_manifest(REQUEST))
    assert spec["automountServiceAccountToken"] is False
    assert spec["serviceAccountName"] == "aisc-sandbox"


def test_T02_the_environment_is_plain_and_closed() -> None:
    names = {variable["name"] for variable in container(job_manifest(REQUEST))["env"]}
    assert names == {"HOME", "HOSTNAME", "LANG", "PATH", "TMPDIR", "AISC_SEED"}


def test_T08_the_limits_are_in_the_manifest() -> None:
    job = job_manifest(REQUEST)
    assert pod(job)["activeDeadlineSeconds"] == 90
    assert container(job)["resources"]["limits"]["cpu"] == "2000m"
    assert container(job)["resources"]["limits"]["memory"] == str(4096 * MIB)
    assert container(job)["resources"]["requests"] == container(job)["resources"]["limits"]


def test_T16_whole_gpus_are_asked_for() -> None:
    limits = Limits(gpus=1)
    amounts = container(
        job_manifest(JobRequest(**{**{k: getattr(REQUEST, k) for k in REQUEST.__slots__}, "limits": limits}))
    )
    assert amounts["resources"]["limits"]["nvidia.com/gpu"] == "1"
