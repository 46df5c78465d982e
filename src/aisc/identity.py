"""Everything is named by content: canonical JSON, digests, and the key that a result is written under."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any, Literal

SCORING_PACKAGES = (
    "attacks",
    "datasets",
    "evaluations",
    "metrics",
    "placement",
    "stages",
    "submission",
    "tracks",
    "victims",
)


def canonical_json(value: object) -> bytes:
    """Encode plain values so that equal values give equal bytes: sorted keys, no blanks, UTF-8, no NaN.

    >>> canonical_json({"b": 1, "a": [0.1, None]})
    b'{"a":[0.1,null],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(value: object) -> str:
    """Give the SHA-256 of a value's canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


@cache
def code_version() -> str:
    """Name the code that scores: the first 16 digits of the SHA-256 over the sources of the scoring packages.

    The package's version number alone would call two different scorers by one name while a release is in the making.
    """
    total = hashlib.sha256()
    for package in SCORING_PACKAGES:
        for path, source in sources(resources.files("aisc") / package, ".py"):
            total.update(f"{package}/{path}".encode() + b"\0" + hashlib.sha256(source).digest())
    return total.hexdigest()[:16]


def sources(folder: Traversable, *suffixes: str) -> list[tuple[str, bytes]]:
    """Give path and content of every file below a package's folder that ends so, in the order of their paths."""
    found: list[tuple[str, bytes]] = []
    for item in folder.iterdir():
        if item.is_dir():
            found += [(f"{item.name}/{path}", content) for path, content in sources(item, *suffixes)]
        elif item.name.endswith(suffixes):
            found.append((item.name, item.read_bytes()))
    return sorted(found)


@dataclass(frozen=True, slots=True)
class Asset:
    """A dataset, a victim or an archive in the store.

    Attributes:
        kind: What it is.
        name: What people call it, such as ``faces/pairs``.
        sha256: Digest of its content.
        key: Where the store keeps it.
    """

    kind: Literal["data", "victim", "submission"]
    name: str
    sha256: str
    key: str


@dataclass(frozen=True, slots=True)
class Version:
    """All that a stage's scores are bound to beside the submission; a board never mixes two of them.

    Attributes:
        stage: ``track/stage``.
        rules: The rules module of the track.
        data: The hidden dataset; ``None`` where organizers enter the results.
        victims: The victims, in the order of the season file.
        limits: The limits of the rules, such as patches and area.
        seed: Seed of everything drawn during scoring.
        code: ``code_version()`` of the scorer.
    """

    stage: str
    rules: str
    data: Asset | None
    victims: tuple[Asset, ...]
    limits: Mapping[str, Any]
    seed: int
    code: str

    @property
    def track(self) -> str:
        """The track's name alone."""
        return self.stage.partition("/")[0]

    @property
    def stage_name(self) -> str:
        """The stage's name within its track."""
        return self.stage.partition("/")[2]

    @property
    def sha256(self) -> str:
        """Digest over the content digests, not over the store's keys."""
        return digest(self.bound_to())

    def bound_to(self) -> dict[str, Any]:
        """Give the identity as plain values, as boards and results show it."""
        return {
            "stage": self.stage,
            "rules": self.rules,
            "data": {self.data.name: self.data.sha256} if self.data else {},
            "victims": {victim.name: victim.sha256 for victim in self.victims},
            "limits": dict(self.limits),
            "seed": self.seed,
            "code": self.code,
        }

    def as_json(self) -> dict[str, Any]:
        """Give all fields as plain values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Version":
        """Read what ``as_json`` gave."""
        fields = dict(value)
        fields["data"] = Asset(**fields["data"]) if fields["data"] else None
        fields["victims"] = tuple(Asset(**victim) for victim in fields["victims"])
        return cls(**fields)


@dataclass(frozen=True, slots=True)
class Plan:
    """One evaluation, fully resolved: nothing in it can move afterwards.

    Attributes:
        version: What the score will be bound to.
        submission: The submission's archive; its name is the submission's id.
        season: The season's name, for people; no part of the key.
        digits: Decimals that the team is shown; no part of the key.
    """

    version: Version
    submission: Asset
    season: str
    digits: int

    @property
    def run_key(self) -> str:
        """Name the result: the same submission under the same version has the same key, whatever the attempt."""
        return digest(
            {"submission": self.submission.sha256, "id": self.submission.name, "version": self.version.sha256}
        )

    def as_json(self) -> dict[str, Any]:
        """Give all fields as plain values."""
        shown = {"season": self.season, "digits": self.digits}
        return {"version": self.version.as_json(), "submission": asdict(self.submission), **shown}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Plan":
        """Read what ``as_json`` gave."""
        return cls(Version.from_json(value["version"]), Asset(**value["submission"]), value["season"], value["digits"])
