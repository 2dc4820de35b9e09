"""Delta debugging: what is left passes, and nothing of it can go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from detrt.compare.minimise import minimise, shortest_prefix


@given(st.integers(1, 60), st.sets(st.integers(0, 59), min_size=1, max_size=5))
def test_exactly_what_is_needed_is_left(count: int, needed: set[int]) -> None:
    items = [str(number) for number in range(count)]
    wanted = {str(number) for number in needed if number < count} or {"0"}
    tried = []

    def passes(some: tuple[str, ...]) -> bool:
        tried.append(some)
        return wanted <= set(some)

    assert set(minimise(items, passes)) == wanted
    if len(wanted) == 1:
        assert len(tried) <= 2 * 6 + 2


def test_one_item_needs_no_trial() -> None:
    assert minimise(["a"], lambda some: False) == ("a",)


@given(st.integers(1, 200), st.integers(0, 199))
def test_the_shortest_prefix(count: int, needed: int) -> None:
    items = [str(number) for number in range(count)]
    last = min(needed, count - 1)
    tried = []

    def passes(some: tuple[str, ...]) -> bool:
        tried.append(some)
        return str(last) in some

    assert len(shortest_prefix(items, passes)) == last + 1
    assert len(tried) <= 8
