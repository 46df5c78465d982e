"""What a face network is taught with: margin losses over known people, and triplets.

Each loss holds one direction a person and takes embeddings of length 1, `(n, dim)`, with labels `(n,)`.
"""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

LossName = Literal["arcface", "cosface", "softmax", "triplet"]

_SCALE = 28.0
_MARGIN = {"arcface": 0.30, "cosface": 0.22, "softmax": 0.0, "triplet": 0.0}
_TRIPLET_GAP = 0.30
_TRIPLET_WEIGHT = 2.0


class PeopleLoss(nn.Module):
    """Cross entropy over people on the sphere, with a margin in the angle or the cosine.

    `arcface` adds to the angle (Deng et al. 2019, eq. 3), `cosface` takes from the cosine (Wang et al. 2018, eq. 4),
    `softmax` has no margin, and `triplet` adds the hardest triplets of a batch (Hermans et al. 2017, eq. 5) to it.
    """

    def __init__(self, name: LossName, people: int, dim: int) -> None:
        """Make one random direction a person."""
        super().__init__()
        self.name = name
        self.directions = nn.Parameter(torch.randn(people, dim) * 0.1)

    def forward(self, embeddings: Tensor, labels: Tensor, strength: float) -> Tensor:
        """Give the mean loss; `strength` in [0, 1] scales the margin, which grows while training warms up."""
        cosine = embeddings @ F.normalize(self.directions, dim=1).T
        own = cosine.gather(1, labels[:, None])
        margin = _MARGIN[self.name] * strength
        angle = torch.acos(own.clamp(-0.999, 0.999))
        moved = torch.cos(angle + margin) if self.name == "arcface" else own - margin
        loss = F.cross_entropy(_SCALE * cosine.scatter(1, labels[:, None], moved), labels, label_smoothing=0.02)
        if self.name == "triplet":
            loss = loss + _TRIPLET_WEIGHT * _hardest_triplets(embeddings, labels)
        return loss


def _hardest_triplets(embeddings: Tensor, labels: Tensor) -> Tensor:
    """For each picture: its least similar same person against its most similar other person."""
    similar = embeddings @ embeddings.T
    same = labels[:, None] == labels[None]
    positive = similar.masked_fill(~same, 2.0).amin(1)
    negative = similar.masked_fill(same, -2.0).amax(1)
    return F.relu(_TRIPLET_GAP + negative - positive).mean()
