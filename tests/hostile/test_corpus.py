"""Every attack against every driver, really tried inside it: nothing gained, exactly its verdict, no trace left."""

import pytest

from aisc.sandbox.corpus import Attack, Bench, read_corpus

pytestmark = pytest.mark.xdist_group("sandbox")  # one daemon, and nobody else's leftovers
CORPUS = read_corpus()


@pytest.mark.parametrize("attack", CORPUS, ids=[attack.name for attack in CORPUS])
def test_attack_is_blocked(bench: Bench, attack: Attack) -> None:
    if attack.name in bench.not_ready:
        pytest.skip("no C compiler with static libraries: run 'sudo tests/services/install_sandbox.sh'")
    attempt = bench.attempt(attack)
    assert attempt.failures == ()
    assert attempt.verdict is attack.expect
