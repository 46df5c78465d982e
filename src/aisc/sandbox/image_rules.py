"""What a participant's image may be: the caps, and the rules with their codes (T05, T19)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from aisc.submission.findings import Rule

_GIB: Final = 1 << 30


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Caps, enforced before anything is unpacked.

    Attributes:
        archive_bytes: Size of the uploaded archive.
        unpacked_bytes: Size of all layers, decompressed.
        layers: Number of layers.
        entries: Files and folders in all layers together.
    """

    archive_bytes: int = 10 * _GIB
    unpacked_bytes: int = 20 * _GIB
    layers: int = 127
    entries: int = 400_000


_SAVE: Final = "Save the image again with `docker save` or `skopeo copy … docker-archive:`."
_REBUILD: Final = "Change the Dockerfile and build the image again."
_SHRINK: Final = "Start from a slimmer base and copy only what the program needs."

IMAGE_RULES: Final[Mapping[str, Rule]] = MappingProxyType(
    {
        code: Rule(code, "refused", remedy)
        for code, remedy in {
            "IMAGE_TOO_LARGE": _SHRINK,
            "IMAGE_TOO_MANY_LAYERS": "Join RUN lines, or flatten the image by `docker export` and `docker import`.",
            "IMAGE_TOO_MANY_ENTRIES": _SHRINK,
            "IMAGE_ARCHIVE": _SAVE,
            "IMAGE_MEMBER": _SAVE,
            "IMAGE_SEVERAL": "Put exactly one image into the archive.",
            "IMAGE_DIGEST": _SAVE,
            "IMAGE_CONFIG": _SAVE,
            "IMAGE_PLATFORM": "Build with `docker build --platform`.",
            "IMAGE_ENV": "Set the variable inside the program; the platform passes only common, harmless ones.",
            "IMAGE_ENTRYPOINT": "Give ENTRYPOINT or CMD as a JSON list of words.",
            "IMAGE_VOLUME": "Remove VOLUME; write to /output and /tmp.",
            "IMAGE_WORKDIR": "Set WORKDIR to an absolute path without `..`.",
            "IMAGE_PATH": _REBUILD,
            "IMAGE_DEVICE": "Remove devices, pipes and sockets from the image.",
        }.items()
    }
)

_HARMLESS: Final = re.compile(
    r"PATH|HOME|LANG|LANGUAGE|LC_[A-Z]+|TZ|TERM|HOSTNAME|DEBIAN_FRONTEND|SSL_CERT_FILE|SSL_CERT_DIR|GPG_KEY"
    r"|PYTHON[A-Z0-9_]*|PIP_[A-Z0-9_]+|UV_[A-Z0-9_]+|VIRTUAL_ENV|CONDA_[A-Z0-9_]+|MAMBA_[A-Z0-9_]+"
    r"|OMP_[A-Z_]+|MKL_[A-Z_]+|OPENBLAS_[A-Z_]+|NUMEXPR_[A-Z_]+|TORCH_[A-Z_]+|HF_[A-Z_]+|TRANSFORMERS_[A-Z_]+"
    r"|CUDA_VERSION|CUDA_HOME|CUBLAS_[A-Z_]+|NCCL_VERSION|TF_[A-Z_]+|MPLCONFIGDIR|APP_[A-Z0-9_]+"
)


def is_harmless_variable(name: str) -> bool:
    """Say whether an image may set a variable; loaders (``LD_…``) and GPU runtimes (``NVIDIA_…``) are not its to steer.

    >>> [is_harmless_variable(name) for name in ("PYTHONPATH", "LD_PRELOAD", "NVIDIA_VISIBLE_DEVICES")]
    [True, False, False]
    """
    return _HARMLESS.fullmatch(name) is not None
