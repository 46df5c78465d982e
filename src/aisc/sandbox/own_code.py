"""Which code and which programs make the sandbox: what a proof of its tightness is bound to."""

import hashlib
import subprocess
from functools import cache
from importlib import resources

from aisc.identity import sources


@cache
def code_digest() -> str:
    """Name this package: SHA-256 over its modules and the programs of the hostile corpus, 64 hexadecimal digits."""
    total = hashlib.sha256()
    for name, data in sources(resources.files("aisc.sandbox"), ".py", ".sh", ".c"):
        total.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
    return total.hexdigest()


def program_version(program: str) -> str:
    """Give the first line that a program says about its version; ``unknown`` if it says nothing."""
    try:
        said = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:
        return "unknown"
    return next(iter(said.stdout.splitlines()), "unknown").strip()
