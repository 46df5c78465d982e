"""Every attack against every driver, really tried inside it: nothing gained, exactly its verdict, no trace left."""

from collections.abc import Callable

import pytest

from aisc.sandbox.attacks import Attack, read_corpus
from aisc.sandbox.corpus import Bench

pytestmark = pytest.mark.xdist_group("sandbox")  # one daemon, and nobody else's leftovers
CORPUS = read_corpus()
TRIED = "attack tried"  # tests/hostile/conftest.py counts these


@pytest.mark.parametrize("attack", CORPUS, ids=[attack.name for attack in CORPUS])
def test_attack_is_blocked(bench: Bench, attack: Attack, record_property: Callable[[str, object], None]) -> None:
    if attack.name in bench.not_ready:
        pytest.skip("no C compiler with static libraries: run 'sudo tests/services/install_sandbox.sh'")
    attempt = bench.attempt(attack)
    record_property(TRIED, (bench.driver.name, attempt.blocked))
    assert attempt.failures == ()
    assert attempt.verdict is attack.expect
