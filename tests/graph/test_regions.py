from __future__ import annotations

from itertools import product

import numpy as np

from detrt.graph.regions import Link, wide_side


def test_chain_is_cut_at_its_cheapest_link() -> None:
    links = [Link(0, (1,), 9), Link(1, (2,), 3), Link(2, (3,), 7)]
    assert wide_side(4, [0], {3: 1 << 60}, links) == {0, 1}


def test_vertex_between_wide_ones_stays_wide_unless_that_costs_more_than_two_casts() -> None:
    links = [Link(0, (1,), 5), Link(1, (2,), 5)]
    assert wide_side(3, [0, 2], {1: 9}, links) == {0, 1, 2}
    assert wide_side(3, [0, 2], {1: 11}, links) == {0, 2}


def test_one_cast_serves_every_reader() -> None:
    links = [Link(0, (1, 2, 3), 5)]
    assert wide_side(4, [0], {1: 2, 2: 2, 3: 2}, links) == {0}
    assert wide_side(4, [0], {1: 2, 2: 2}, links) == {0, 1, 2, 3}


def test_result_is_the_cheapest_of_all_divisions() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        links = [
            Link(i, tuple(sorted(set(rng.integers(i + 1, 8, rng.integers(1, 3)).tolist()))), int(rng.integers(1, 9)))
            for i in range(7)
        ]
        must = set(rng.choice(8, 2, replace=False).tolist())
        costs = {i: int(rng.integers(0, 12)) for i in range(8) if i not in must}
        found = wide_side(8, must, costs, links)
        assert must <= found
        assert _cost(found, costs, links) == min(_cost(wide, costs, links) for wide in _divisions(8) if must <= wide)


def _divisions(count: int) -> list[set[int]]:
    return [{i for i, wide in enumerate(choice) if wide} for choice in product((False, True), repeat=count)]


def _cost(wide: set[int], costs: dict[int, int], links: list[Link]) -> int:
    casts = sum(link.cast_cost for link in links if any((link.producer in wide) != (c in wide) for c in link.consumers))
    return casts + sum(cost for vertex, cost in costs.items() if vertex in wide)
