"""Ask a server about every victim's canary: the one sign of health to believe, for dead models are called ready too.

Plain Python and HTTP, so that the victims' image runs this very file as its probe:
``python3 probe.py REPOSITORY [URL]`` exits with 0 when every model answers as its package does.
"""

import json
import struct
import sys
import urllib.error
import urllib.request
from array import array
from pathlib import Path
from typing import Any

DEADLINE_S = 10.0


def find_sick(repository: Path, url: str, deadline_s: float = DEADLINE_S) -> dict[str, str]:
    """Give what is wrong with each model that does not answer its canary rightly; nothing when all is well.

    Args:
        repository: The folder that the server serves.
        url: ``http://host:port`` of the server.
        deadline_s: Seconds that one model may take to answer.
    """
    sick = {}
    for description in sorted(repository.glob("*/warmup/canary.json")):
        canary = json.loads(description.read_text())
        try:
            # Idle instances take turns, so that each of them is asked.
            answers = [_ask(canary, description.parent, url, deadline_s) for _ in range(canary["instances"])]
            wrong = next(filter(None, answers), "")
        except urllib.error.HTTPError as error:
            wrong = f"HTTP {error.code}: {error.read(300).decode(errors='replace')}"
        except (OSError, ValueError, KeyError, struct.error) as error:
            wrong = f"{type(error).__name__}: {error}"
        if wrong:
            sick[canary["model"]] = wrong
    return sick


def _ask(canary: dict[str, Any], folder: Path, url: str, deadline_s: float) -> str:
    """Ask about one canary in Triton's binary form of HTTP: a JSON head, then raw numbers."""
    data = (folder / "canary").read_bytes()
    question = canary["question"] | {"parameters": {"binary_data_size": len(data)}}
    wanted = [{"name": one["name"], "parameters": {"binary_data": True}} for one in canary["answers"]]
    head = json.dumps({"inputs": [question], "outputs": wanted}).encode()
    request = urllib.request.Request(  # noqa: S310 - the operator's own address
        f"{url}/v2/models/{canary['model']}/versions/{canary['version']}/infer",
        head + data,
        {"Inference-Header-Content-Length": str(len(head)), "Content-Type": "application/octet-stream"},
    )
    with urllib.request.urlopen(request, timeout=deadline_s) as response:  # noqa: S310
        length = int(response.headers["Inference-Header-Content-Length"])
        described, rest = json.loads(response.read(length)), response.read()
    for one in described["outputs"]:
        size = one["parameters"]["binary_data_size"]
        found, rest = array("f", rest[:size]), rest[size:]
        expected = array("f", (folder / f"{one['name']}.expected").read_bytes())
        bound = canary["tolerance"] * max(1.0, *map(abs, expected))
        # Written so that a NaN is a difference.
        if len(found) != len(expected) or not all(abs(a - b) <= bound for a, b in zip(found, expected, strict=True)):
            return f"{one['name']} is not what the package answers"
    return ""


if __name__ == "__main__":
    trouble = find_sick(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "http://127.0.0.1:8000")
    for name, wrong in trouble.items():
        print(f"{name}: {wrong}", file=sys.stderr)
    raise SystemExit(1 if trouble else 0)
