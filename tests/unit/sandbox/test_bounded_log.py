"""The cap on what a program says (T11)."""

import itertools
import tracemalloc

from aisc.sandbox.bounded_log import BoundedLog


def test_T11_the_first_bytes_are_kept_and_the_rest_is_noticed() -> None:
    log = BoundedLog(10)
    log.feed([b"abc", b"defg"])
    assert (log.kept(), log.seen, log.crossed) == (b"abcdefg", 7, False)
    log.feed([b"hij"])
    assert (log.kept(), log.seen, log.crossed) == (b"abcdefghij", 10, False)
    log.feed([b"k" * 100])
    assert (log.kept(), log.seen, log.crossed) == (b"abcdefghij", 11, True)


def test_T11_a_flood_takes_no_memory() -> None:
    log = BoundedLog(1000)
    tracemalloc.start()
    log.feed(itertools.repeat(bytes(1 << 16), 5000))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(log.kept()) == 1000
    assert peak < 1 << 20
