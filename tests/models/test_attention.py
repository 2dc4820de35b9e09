from __future__ import annotations

import pytest
import torch
from torch import Tensor

from detrt.models.attention import Table, maps_of, sampled_by_gather, sampled_by_grid, sampled_nearest

SHAPES = [(5, 7), (3, 2), (2, 4)]
POINTS = (4, 2, 3)
HEADS, QUERIES, DEPTH = 2, 11, 3
CELLS = sum(height * width for height, width in SHAPES)


@pytest.fixture
def value() -> Tensor:
    return torch.randn(2, CELLS, HEADS * DEPTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.fixture
def places() -> Tensor:
    """From far outside on one side to far outside on the other."""
    shape = (2, QUERIES, HEADS, sum(POINTS), 2)
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * 2 - 0.5


@pytest.fixture
def weights() -> Tensor:
    shape = (2, QUERIES, HEADS, sum(POINTS))
    return torch.rand(shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_gather_gives_what_grid_sample_gives(value: Tensor, places: Tensor, weights: Tensor) -> None:
    expected = sampled_by_grid(maps_of(value, HEADS, SHAPES), places, weights, POINTS)
    found = sampled_by_gather(Table.of(value, HEADS), places, weights, SHAPES, POINTS)
    torch.testing.assert_close(found, expected)


def test_table_may_hold_other_rows_in_between(value: Tensor, places: Tensor, weights: Tensor) -> None:
    wide = torch.cat([torch.full_like(value, torch.nan), value], dim=2)
    rows = wide.reshape(2, CELLS * 2 * HEADS, DEPTH)
    table = Table(rows, stride=2 * HEADS, first=HEADS)
    expected = sampled_by_gather(Table.of(value, HEADS), places, weights, SHAPES, POINTS)
    torch.testing.assert_close(sampled_by_gather(table, places, weights, SHAPES, POINTS), expected)


def test_nearest_reads_the_cell_below_the_place_and_the_border_beyond_it(value: Tensor) -> None:
    height, width = SHAPES[0]
    places = torch.tensor([[-3.0, 0.0], [2.4 / width, 3.6 / height], [0.5, 7.0]], dtype=torch.float64)
    one = places.reshape(1, 3, 1, 1, 2).expand(2, 3, HEADS, 1, 2)
    weights = torch.ones(2, 3, HEADS, 1, dtype=torch.float64)
    found = sampled_nearest(Table.of(value[:, : height * width], HEADS), one, weights, SHAPES[:1], (1,))
    # x + 0.5 and y + 0.5, rounded down, in cells
    expected = [0, 4 * width + 2, 4 * width + 4]
    torch.testing.assert_close(found, value[:, expected])
