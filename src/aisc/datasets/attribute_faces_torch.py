"""A PyTorch dataset over a split, for participants and for training."""

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from aisc.datasets.attribute_faces import Split, read_description, read_faces, read_pictures


class Sample(NamedTuple):
    """One picture, or after collation a batch of them with one more axis in front.

    Attributes:
        picture: float32 RGB `(3, 112, 112)` in [0, 255]: grey levels, as the classifiers take them.
        person: int64 `()`: number of who is shown.
        attributes: float32 `(attributes,)`: 1 where one is there.
        goal: int64 `(g,)`: the target person, or the numbers of the given attributes.
    """

    picture: Tensor
    person: Tensor
    attributes: Tensor
    goal: Tensor


class FacesDataset(Dataset[Sample]):
    """Pictures of one split, decoded when they are asked for."""

    def __init__(self, folder: Path, split: Split) -> None:
        """Read the table of a split.

        Raises:
            UsageError: as `aisc.datasets.attribute_faces.read_faces` does.
        """
        self.folder, self.split = folder, split
        self.description = read_description(folder)
        self.faces = read_faces(folder, split)

    def __len__(self) -> int:
        return len(self.faces.names)

    def __getitem__(self, index: int) -> Sample:
        picture = read_pictures(self.folder, self.split, [self.faces.names[index]])[0]
        return Sample(
            torch.from_numpy(picture).permute(2, 0, 1).float(),
            torch.tensor(self.faces.people[index]),
            torch.from_numpy(self.faces.attributes[index]).float(),
            torch.from_numpy(self.faces.goals[index]),
        )


def faces_loader(
    folder: Path, split: Split, *, batch: int = 64, shuffle: bool = False, seed: int = 0, workers: int = 0
) -> DataLoader[Sample]:
    """Load a split in batches of :class:`Sample`; the seed fixes the order when it is shuffled."""
    generator = torch.Generator().manual_seed(seed)
    return DataLoader(FacesDataset(folder, split), batch, shuffle, generator=generator, num_workers=workers)
