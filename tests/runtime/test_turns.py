"""Sessions of an engine wait for each other, and none for itself."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from detrt.errors import EngineError
from detrt.runtime.turns import Turn, Turns


def sessions(*names: str) -> tuple[list[Turn], list[str]]:
    turns, waited = Turns(), list[str]()
    return [Turn(turns, partial(waited.append, name)) for name in names], waited


def test_who_is_alone_waits_for_nothing() -> None:
    (alone, _), waited = sessions("alone", "idle")
    for _ in range(5):
        with alone:
            pass
    assert not waited


def test_who_comes_after_another_waits_for_that_ones_runs() -> None:
    (one, two), waited = sessions("one", "two")
    for turn in (one, one, two, two, one):
        with turn:
            pass
    assert waited == ["one", "two"]


def test_nobody_waits_for_what_has_ended() -> None:
    (one, two), waited = sessions("one", "two")
    with one:
        pass
    two.end()  # not the last one, of whom there is nothing to forget
    one.end()
    with two:
        pass
    assert not waited


def test_while_one_has_its_turn_no_other_gets_it() -> None:
    (one, two), _ = sessions("one", "two")
    came = threading.Event()

    def come() -> None:
        with two:
            came.set()

    other = threading.Thread(target=come)
    with one:
        other.start()
        assert not came.wait(0.05)
    other.join(20)
    assert came.is_set()


def test_a_fault_of_the_gpu_is_told_to_everyone_and_holds_nobody_up() -> None:
    def fault() -> None:
        raise EngineError("cudaStreamSynchronize failed.", "Restart.")

    turns = Turns()
    broken, other = Turn(turns, fault), Turn(turns, lambda: None)
    with broken:
        pass
    for _ in range(2):
        with pytest.raises(EngineError, match="failed"):
            other.__enter__()
    assert not turns.lock.locked()
