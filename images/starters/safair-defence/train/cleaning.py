"""How the autoencoder learns: attacked pictures in, the clean ones out."""

import time

import torch
from denoiser import Denoiser
from faces import Faces
from lesson import BATCH, attacked, error, settle, varied
from network import Classifier, halve
from torch.nn import functional as F  # noqa: N812 - the name that every torch user reads

EPOCHS = 4
RATE = 2e-3
EPSILON = 8.0
GUIDANCE = 1.0
"""Weight of what the classifier makes of the cleaned picture, beside the mean difference in grey levels."""


def teach_cleaning(faces: Faces, classifier: Classifier, seed: int = 3) -> Denoiser:
    """Train an autoencoder in front of a classifier, which stays as it is.

    A third of each batch is clean, a third altered by chance, a third attacked on the classifier from a random start.
    """
    torch.manual_seed(seed)
    classifier.eval().requires_grad_(False)
    denoiser = Denoiser().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.Adam(denoiser.parameters(), RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, epochs=EPOCHS, steps_per_epoch=_steps(faces))
    halves = halve(faces.pictures.float())
    for epoch in range(EPOCHS):
        started, total = time.process_time(), 0.0
        generator = torch.Generator().manual_seed(1000 * seed + epoch)
        order = torch.randperm(len(halves), generator=generator)
        for chosen in order.split(BATCH)[: _steps(faces)]:
            clean, labels = varied(halves[chosen], generator), faces.labels[chosen]
            third = -(-len(chosen) // 3)
            chance = clean[third : 2 * third]
            noisy = (chance + (2 * torch.rand(chance.shape, generator=generator) - 1) * EPSILON).clamp(0, 255)
            worst = attacked(classifier, clean[2 * third :], labels[2 * third :], EPSILON, 1, generator)
            given = torch.cat([clean[:third], noisy, worst]).contiguous(memory_format=torch.channels_last)
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                cleaned = denoiser(given)
                logits = classifier.look(cleaned)
            loss = F.l1_loss(cleaned, clean) + GUIDANCE * error(logits.float(), labels)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            total += float(loss.detach())
        spent = time.process_time() - started
        print(f"epoch {epoch + 1}/{EPOCHS}: loss {total / _steps(faces):.3f}, {spent:.0f} CPU s", flush=True)
    settle(denoiser, denoiser, halves)
    return denoiser.eval()


def _steps(faces: Faces) -> int:
    return max(1, len(faces.pictures) // BATCH)
