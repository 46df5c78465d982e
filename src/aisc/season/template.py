"""The season file that ``aisc season init`` writes: the tracks of AISC 2022 and SAFAIR, every setting explained."""

import json
from collections.abc import Sequence
from datetime import date, timedelta
from string import Template
from typing import Final

_HEAD: Final = """\
# A season of the competition. Check it with:  aisc season check season.yaml
# Times are read in the timezone below unless they carry an offset. A stage is open from 'opens' up to, but not
# including, 'closes'.

season: $season                   # a-z, 0-9, '.', '-', '_'; boards, folders and pages carry this name
timezone: $timezone               # IANA name; the days of quotas are counted in it
store: ./artifacts                # a folder (from this file's folder), or s3://bucket/prefix with AWS_* or MINIO_*
                                  # in the environment
ledger: sqlite:///ledger.db       # or postgresql+psycopg://host/database, its password in PGPASSWORD

site:                             # what the published pages say
  title: $title
  # organizer: Example University
  # url: https://competition.example.org/

tracks:
"""

_FACE: Final = """\
  face:                           # face recognition: be taken for someone else
    rules: face-verification-patch
    stages:

      preliminary:                # anyone may send a zip of images; three black-box verifiers judge it
        opens: $preliminary_opens
        closes: $preliminary_closes
        data: faces/pairs         # 'aisc data make' or 'aisc data import' brings it into the store
        entries: best             # the board shows a team's best submission, or its last one
        victims: [ires, vgg, dense]
        surrogates: [surrogate-plain, surrogate-residual]   # models that participants receive with their kit
        quota:
          per_day: 5              # submissions a team, a day of the season's timezone
          # total: 100            # submissions a team, in the whole stage
        limits:
          patches: 5              # most connected regions of changed pixels in an image
          area: 0.10              # largest changed share of an image: 1254 of 112 x 112 pixels
          connectivity: 4         # 4: pixels that touch at a corner are two patches; 8: they are one
          max_archive_mib: 512    # largest zip
        rounding: 6               # digits after the point on the board
        seed: 0                   # of everything random, so that a run can be repeated
        attempts: 3               # runs tried on one submission before a person must look at it

      evaluation:                 # the last submission of each team, against three other verifiers
        after: preliminary        # takes no uploads; data and limits are those of the preliminary
        entries: last             # or best
        opens: $evaluation_opens
        closes: $evaluation_closes
        victims: [irse, sphere, mixer]
        review: required          # experts must find the patches physically realisable: 'aisc review'
        advance:
          top: 10                 # a tie at the cut takes all of them in

      final:                      # physical, against a commercial system with liveness detection
        after: evaluation
        opens: $final_opens
        closes: $final_closes
        results: entered          # organizers enter them: 'aisc review face/final results.csv'
"""

_DRIVING: Final = """\
  driving:                        # hide a truck, in the final a mannequin too, from detectors
    rules: detector-patch
    stages:

      preliminary:                # a zip with one patch canvas; a white-box and a black-box detector look at it
        opens: $preliminary_opens
        closes: $preliminary_closes
        data: driving/truck       # five hidden scenes
        training: driving/training      # ten scenes that participants receive
        entries: best
        victims: [road-anchors, road-distances]
        surrogates: [road-anchors, surrogate-road]    # the white box, and another one to train on
        quota:
          per_day: 5
        limits:
          regions: 5              # most connected regions of a mask; more, and the result is void
          area_weight: 0.2        # of the term that rewards small patches; 0 switches it off
          detections: anywhere    # or target: only boxes that overlap the target count
          shown: road-anchors     # the detector whose boxes a team sees in its pictures; it has that model anyway
        rounding: 6
        seed: 0

      judgment:                   # experts read solution and code; another black box looks at the same patches
        after: preliminary
        entries: best
        opens: $evaluation_opens
        closes: $evaluation_closes
        victims: [road-peaks]
        review: required
        advance:
          top: 10

      final:                      # teams that went on send two patches for the truck, two for the mannequin
        after: judgment
        uploads: true             # something new, instead of what they entered the judgment with
        entries: best
        opens: $final_opens
        closes: $final_closes
        data: driving/final       # ten scenes, five with a truck and five with a mannequin
        victims: [road-anchors, road-distances, road-peaks]
        quota:
          total: 3
"""

_DEEPFAKE: Final = """\
  deepfake:                       # which generator made this picture?
    rules: source-identification
    stages:

      preliminary:                # a program as a container image; it runs in the sandbox
        opens: $preliminary_opens
        closes: $preliminary_closes
        data: deepfake/preliminary      # hidden probes and gallery, generators of the training folder
        training: deepfake/training     # labelled and unlabelled pictures that participants receive
        entries: best
        quota:
          per_day: 5
        limits:
          wall_seconds: 3600      # how long the program may run
          cpus: 2.0
          memory_mib: 4096        # of all its processes together
          second_pass: 64         # probes shown twice, to find programs that answer by chance or from memory
          max_archive_mib: 10240  # largest image archive
        rounding: 6
        seed: 0

      evaluation:                 # the last program of each team, hidden generators among the probes
        after: preliminary
        entries: last
        opens: $evaluation_opens
        closes: $evaluation_closes
        data: deepfake/evaluation
        advance:
          top: 10

      final:                      # the same gallery, probes of new generators besides; experts give a mark
        after: evaluation
        uploads: true             # the program also says now how surely a probe was made by a new generator
        entries: last
        opens: $final_opens
        closes: $final_closes
        data: deepfake/final
        review: required
        quota:
          total: 3
"""

_ATTACK: Final = """\
  $TASK-attack: # alter faces, hardly to be seen, so that a classifier takes them for something else
    rules: safair-attack
    # registration: {opens: $preliminary_opens, closes: $preliminary_closes}   # only teams registered within may send
    stages:

      initial:                    # a program as a container image; it runs in the sandbox
        opens: $preliminary_opens
        closes: $preliminary_closes
        data: safair/$TASK
        entries: best
        victims: [$TASK-fgsm, $TASK-undefended]   # the first is attacked, the last is what programs receive
        surrogates: [$TASK-undefended]
        quota:
          per_day: 2
          total: 3
        limits:
          epsilon: 8              # grey levels by which a channel may differ
          hours: 4.0              # for 1000 images; at the limit the finished ones count
          names: false            # true: files are called TEAM.$TASK.DATASET.ATTEMPT
          second_pass: 32         # images shown twice, to find programs that answer by chance or from memory
          shown: 12               # hidden images that a team sees in its result; 0 shows none
        rounding: 3
        advance:
          top: 5

      final:                      # a tournament, with the final of $TASK-defence: 'aisc tournament run $TASK'
        after: initial            # takes no uploads: every attack that advanced meets every defence that did
        entries: best             # each team's best submission
        victims: [$TASK-fgsm, $TASK-undefended]   # as before; attacks are ranked by what defences lose to them
        rounding: 3
"""

_DEFENCE: Final = """\
  $TASK-defence: # the other side: a classifier that attacks do not mislead
    rules: safair-defence
    # registration: {opens: $preliminary_opens, closes: $preliminary_closes}   # only teams registered within may send
    stages:

      initial:
        opens: $preliminary_opens
        closes: $preliminary_closes
        data: safair/$TASK
        entries: best
        victims: [$TASK-undefended]   # FGSM, BIM and PGD are computed on it
        quota:
          per_day: 2
          total: 3
        limits:
          weights: [0.2, 0.4, 0.4]  # of the deltas under FGSM, BIM and PGD; the lowest sum wins
          steps: 10               # of BIM and PGD
          step: 2.0               # grey levels
          floor: 70.0             # least accuracy on clean images, in points
          faithful: false         # true: no floor; a classifier that never changes its answer then wins
          hours: 4.0
          names: false
          second_pass: 32
        rounding: 3
        advance:
          top: 5

      final:                      # the same tournament: the mean over the attacks, and the lowest wins
        after: initial            # data, seed and 'accuracy' must be those of the attacks' final
        entries: best
        rounding: 3
"""


def _task(text: str, task: str) -> str:
    """Fill in a task; the comment on the first line keeps its column."""
    head, _, rest = text.replace("$TASK", task).partition("\n")
    name, _, told = head.partition("#")
    return f"{name.rstrip():<34}#{told}\n{rest}"


_TRACKS: Final = {
    "face": _FACE,
    "driving": _DRIVING,
    "deepfake": _DEEPFAKE,
    "reid-attack": _task(_ATTACK, "reid"),
    "reid-defence": _task(_DEFENCE, "reid"),
    "attributes-attack": _task(_ATTACK, "attributes"),
    "attributes-defence": _task(_DEFENCE, "attributes"),
}
_OTHER_SIDE: Final = {
    f"{task}-{side}": f"{task}-{other}"
    for task in ("reid", "attributes")
    for side, other in (("attack", "defence"), ("defence", "attack"))
}
TEMPLATE_TRACKS: Final = tuple(_TRACKS)
"""The tracks that a new season can have, in the order of the file."""


def _text_of(name: str, tracks: Sequence[str]) -> str:
    """Give a track's text; one side of a task alone has no tournament to end in."""
    text = _TRACKS[name]
    alone = name in _OTHER_SIDE and _OTHER_SIDE[name] not in tracks
    return text[: text.index("\n      final:")] if alone else text


def season_text(
    season: str, start: date, timezone: str = "UTC", title: str | None = None, tracks: Sequence[str] = TEMPLATE_TRACKS
) -> str:
    """Fill the template: eight weeks of preliminary from ``start``, two of evaluation, one of final.

    Args:
        season: Name of the season.
        start: Day on which the preliminary opens, at midnight in the timezone.
        timezone: IANA name.
        title: Title of the published pages; the season's name if None.
        tracks: Which tracks of :data:`TEMPLATE_TRACKS` the season holds.
    """
    days = [start + timedelta(days=offset) for offset in (0, 56, 70, 77)]
    opens, closes, judged, held = (f"{day.isoformat()}T00:00:00" for day in days)
    template = _HEAD + "\n".join(_text_of(name, tracks) for name in _TRACKS if name in tracks)
    return Template(template).substitute(
        season=season,
        timezone=timezone,
        title=json.dumps(title or f"AI security competition {season}"),  # JSON text is YAML text,
        preliminary_opens=opens,
        preliminary_closes=closes,
        evaluation_opens=closes,
        evaluation_closes=judged,
        final_opens=judged,
        final_closes=held,
    )
