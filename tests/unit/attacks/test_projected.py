"""The three probes against foolbox, bit for bit, and what they promise about every grey level."""

import eagerpy
import foolbox
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from aisc.attacks.objectives import attribute_signs, away_from, flip, towards
from aisc.attacks.projected import BIM, FGSM, PGD, PROBES, Probe, attack_pictures, projected_steps

PEOPLE = 7
ORACLES = {
    "fgsm": lambda probe: foolbox.attacks.LinfFastGradientAttack(),
    "bim": lambda probe: foolbox.attacks.LinfBasicIterativeAttack(abs_stepsize=probe.step, steps=probe.steps),
    "pgd": lambda probe: foolbox.attacks.LinfPGD(abs_stepsize=probe.step, steps=probe.steps),
}


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(4)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 8, 3, stride=2), nn.Tanh(), nn.Flatten(),
        nn.Linear(8 * 5 * 5, PEOPLE),
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def pictures():
    made = np.random.default_rng(1).integers(0, 256, (12, 24, 24, 3), dtype=np.uint8)
    made[0], made[1] = 0, 255  # where the range ends before ε does
    return made


@pytest.fixture(scope="module")
def people():
    return np.arange(12) % PEOPLE


def tensor(pictures):
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float()


def ask_foolbox(model, pictures, criterion, probe, epsilon=8, seed=0, attack=None):
    """Attack in grey levels: bounds 0 and 255, so ε means the same number."""
    torch.manual_seed(seed)
    victim = foolbox.PyTorchModel(model, bounds=(0, 255), device="cpu")
    attack = attack or ORACLES[probe.name](probe)
    return attack(victim, tensor(pictures), criterion, epsilons=epsilon)[0]


def levels(images):
    return images.permute(0, 2, 3, 1).numpy()


@pytest.mark.parametrize("probe", [*PROBES, Probe("bim", 4, 2.55), Probe("pgd", 5, 2.55, True)], ids=str)
def test_probes_equal_foolbox_to_the_bit(model, pictures, people, probe):
    criterion = foolbox.criteria.Misclassification(torch.from_numpy(people))
    expected = ask_foolbox(model, pictures, criterion, probe, seed=11)
    goals = torch.from_numpy(people)
    found = projected_steps(
        model, away_from, tensor(pictures), goals, probe, generator=torch.Generator().manual_seed(11)
    )
    assert torch.equal(found, expected)
    whole = attack_pictures(model, away_from, pictures, people, probe, seed=11)
    assert (whole == np.rint(levels(expected))).all()


def test_a_targeted_probe_equals_foolbox_to_the_bit(model, pictures, people):
    targets = (people + 3) % PEOPLE
    criterion = foolbox.criteria.TargetedMisclassification(torch.from_numpy(targets))
    expected = ask_foolbox(model, pictures, criterion, PGD, seed=2)
    assert (attack_pictures(model, towards, pictures, targets, PGD, seed=2) == np.rint(levels(expected))).all()


def test_flipping_attributes_equals_foolbox_with_that_loss(model, pictures):
    rng = np.random.default_rng(3)
    truth = rng.random((12, PEOPLE)) < 0.5
    ids = np.stack([rng.choice(PEOPLE, 3, replace=False) for _ in range(12)])
    given = np.zeros_like(truth)
    for row, chosen in zip(given, ids, strict=True):
        row[chosen] = True

    class Flip(foolbox.attacks.LinfPGD):
        def get_loss_fn(self, model, labels):
            def loss(inputs):
                each = F.binary_cross_entropy_with_logits(
                    model(inputs).raw, torch.from_numpy(truth).float(), reduction="none"
                )
                return eagerpy.astensor((each * torch.from_numpy(given)).sum())

            return loss

    criterion = foolbox.criteria.Misclassification(torch.zeros(12, dtype=torch.int64))
    expected = ask_foolbox(model, pictures, criterion, PGD, seed=5, attack=Flip(abs_stepsize=PGD.step, steps=PGD.steps))
    found = attack_pictures(model, flip, pictures, attribute_signs(truth, ids), PGD, seed=5)
    assert (found == np.rint(levels(expected))).all()


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
@pytest.mark.parametrize("epsilon", [1, 8])
def test_every_grey_level_stays_within_epsilon_and_some_reach_it(model, pictures, people, probe, epsilon):
    found = attack_pictures(model, away_from, pictures, people, probe, epsilon=epsilon)
    change = np.abs(found.astype(int) - pictures.astype(int))
    assert found.dtype == np.uint8
    assert change.max() == epsilon


def test_a_step_between_two_levels_is_rounded_within_epsilon(model, pictures, people):
    found = attack_pictures(model, away_from, pictures, people, Probe("pgd", 7, 2.55, True), epsilon=3, seed=9)
    assert np.abs(found.astype(int) - pictures).max() == 3


@pytest.mark.parametrize("batch", [1, 5, 64])
def test_results_do_not_depend_on_the_batch(model, pictures, people, batch):
    expected = attack_pictures(model, away_from, pictures, people, PGD, seed=1, batch=12)
    seen = []
    found = attack_pictures(
        model, away_from, pictures, people, PGD, seed=1, batch=batch,
        progress=lambda done, total: seen.append((done, total)),
    )  # fmt: skip
    # A sum of floats may round otherwise in another batch and turn the sign of a gradient that is nearly 0.
    assert np.mean(found != expected) < 1e-3
    assert seen[-1] == (12, 12)


def test_the_same_seed_gives_the_same_pictures_and_another_one_others(model, pictures, people):
    first, again, other = (attack_pictures(model, away_from, pictures, people, PGD, seed=s) for s in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_more_steps_raise_the_loss_further(model, pictures, people):
    goals = torch.from_numpy(people)
    losses = [
        float(away_from(model(tensor(attack_pictures(model, away_from, pictures, people, probe))), goals).detach())
        for probe in (FGSM, BIM)
    ]
    clean = float(away_from(model(tensor(pictures)), goals).detach())
    assert clean < losses[0] <= losses[1]


def test_neither_pictures_nor_weights_are_touched(model, pictures, people):
    before = pictures.copy(), [p.clone() for p in model.parameters()]
    model.zero_grad(set_to_none=True)
    attack_pictures(model, away_from, pictures, people, BIM)
    assert (pictures == before[0]).all()
    assert all(torch.equal(a, b) for a, b in zip(before[1], model.parameters(), strict=True))
    assert all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize("epsilon", [0, 256, 2.5])
def test_an_epsilon_that_is_no_number_of_levels_is_refused(model, pictures, people, epsilon):
    with pytest.raises(ValueError, match="whole number"):
        attack_pictures(model, away_from, pictures, people, FGSM, epsilon=epsilon)


def test_pictures_of_another_kind_are_refused(model, pictures, people):
    with pytest.raises(ValueError, match="uint8"):
        attack_pictures(model, away_from, pictures / 255, people, FGSM)


def test_a_model_that_only_sums_has_one_gradient_for_all_pixels(pictures, people):
    class Sums(nn.Module):
        def forward(self, images):
            return images.sum((2, 3))

    found = attack_pictures(Sums(), lambda logits, goals: logits.sum(), pictures, people, BIM)
    assert (found == np.minimum(pictures.astype(int) + 8, 255)).all()


def test_no_pictures_give_no_pictures(model, pictures, people):
    assert attack_pictures(model, away_from, pictures[:0], people[:0], FGSM).shape == (0, 24, 24, 3)
