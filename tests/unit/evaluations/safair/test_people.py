"""SAFAIR's rules about people, at the door: one side of a task, three attempts, names that are not repeated."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest

from aisc.errors import SubmissionRefusedError


def refusal(send: Any) -> str:
    with pytest.raises(SubmissionRefusedError) as refused:
        send()
    return refused.value.code


def test_rule_4_attack_or_defence_within_a_task_crossing_allowed(arena: Any) -> None:
    arena.submit("reid-attack", "A", "1")
    assert refusal(lambda: arena.submit("reid-defence", "A", "2")) == "BOTH_SIDES"
    arena.submit("attributes-defence", "A", "3")
    assert refusal(lambda: arena.submit("attributes-attack", "A", "4")) == "BOTH_SIDES"
    arena.submit("reid-defence", "B", "5")
    sent = [receipt.stage for receipt in arena.bench.ledger.submissions.all(team="A")]
    assert sent == ["reid-attack/initial", "attributes-defence/initial"]


def test_rule_4_holds_for_two_submissions_at_once(arena: Any, tmp_path: Any) -> None:
    from aisc.reception import receive

    arena.bench.ledger.teams.add("A")
    tracks = [f"reid-{side}/initial" for side in ("attack", "defence")] * 4
    gate = Barrier(len(tracks))

    def send(number: int) -> str:
        file = tmp_path / f"{number}.json"
        file.write_text(f"{number}")
        gate.wait()
        try:
            return receive(arena.bench, arena.season, tracks[number], "A", file).stage
        except SubmissionRefusedError as refused:
            return refused.code

    with ThreadPoolExecutor(len(tracks)) as pool:
        became = list(pool.map(send, range(len(tracks))))
    taken = [one for one in became if one.endswith("initial")]
    assert len(set(taken)) == 1, "one side has won"
    assert len(taken) == 2, "as many as a day allows"
    assert became.count("BOTH_SIDES") == 4


def test_rule_10_two_a_day_and_three_in_all(arena: Any) -> None:
    for number in range(2):
        arena.submit("reid-attack", "A", str(number))
    assert refusal(lambda: arena.submit("reid-attack", "A", "third")) == "QUOTA_DAY"
    arena.now = arena.now.replace(day=11)
    arena.submit("reid-attack", "A", "third")
    arena.now = arena.now.replace(day=12)
    assert refusal(lambda: arena.submit("reid-attack", "A", "fourth")) == "QUOTA_TOTAL"


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("attack.tar", "ENTRY_NAME"),
        ("others.reid.reid.1.tar", "ENTRY_TEAM"),
        ("Night-Owls.attributes.reid.1.tar", "ENTRY_TASK"),
        ("Night-Owls.reid.celeba.1.tar", "ENTRY_DATASET"),
        ("Night-Owls.reid.reid.01.tar", "ENTRY_NAME"),
    ],
)
def test_names_follow_the_convention_where_the_stage_asks_for_it(arena: Any, name: str, code: str) -> None:
    arena.limit("reid-attack", names=True)
    assert refusal(lambda: arena.submit("reid-attack", "Night Owls", "1", name)) == code
    assert arena.bench.ledger.submissions.all() == []


def test_a_repeated_attempt_is_refused_and_costs_nothing(arena: Any) -> None:
    arena.limit("reid-attack", names=True)
    arena.submit("reid-attack", "Night Owls", "1", "Night-Owls.reid.reid.1.tar.gz")
    again = "Night-Owls.reid.reid.1.json"
    assert refusal(lambda: arena.submit("reid-attack", "Night Owls", "2", again)) == "ENTRY_ATTEMPT_REPEATED"
    arena.submit("reid-attack", "Night Owls", "2", "Night-Owls.reid.reid.2.json")


def test_the_same_file_again_is_no_repeated_attempt(arena: Any) -> None:
    from aisc.reception import receive

    arena.limit("reid-attack", names=True)
    first = arena.submit("reid-attack", "A", "1", "A.reid.reid.1.json")
    again = receive(arena.bench, arena.season, "reid-attack/initial", "A", arena.folder / "A.reid.reid.1.json")
    assert again == first
