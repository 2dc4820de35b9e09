"""Multi-scale deformable attention: each head of each query reads a few cells of each level and averages them.

Three ways of reading, all of which give the same numbers where they mean the same:

* `grid-sample`: bilinear, by the operator of that name, one level at a time;
* `gather`: bilinear, as four rows picked from the value table and weighted: for runtimes that miscompile GridSample;
* discrete: the nearest cell, one row (models trained so: `_dsp`).

An export may also leave the reading to a plugin, which does either (models/deployed/plugin_sampling.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from detrt.models.rows import take_rows
from detrt.models.variants import Variant

Sampler = Literal["grid-sample", "gather", "plugin"]
Shapes = Sequence[tuple[int, int]]  # height and width, by level


class DeformableAttention(nn.Module):
    """Cross-attention from queries to feature maps, at points that the queries choose around their boxes."""

    num_points_scale: Tensor

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        self.heads = variant.heads
        self.points = variant.points
        self.discrete = variant.sampling == "discrete"
        width, total = variant.hidden, variant.heads * sum(variant.points)
        self.register_buffer("num_points_scale", torch.tensor([1 / n for n in variant.points for _ in range(n)]))
        self.sampling_offsets = nn.Linear(width, 2 * total)
        self.attention_weights = nn.Linear(width, total)
        self.value_proj = nn.Linear(width, width)
        self.output_proj = nn.Linear(width, width)

    def forward(self, query: Tensor, boxes: Tensor, memory: Tensor, shapes: Shapes) -> Tensor:
        """Attend.

        Args:
            query: (N, Q, C).
            boxes: (N, Q, 4) as cx, cy, w, h in 0..1: offsets are counted in halves of the box, over the points.
            memory: (N, cells of all levels, C).
            shapes: of the levels.

        Returns:
            (N, Q, C).
        """
        batch, queries, _ = query.shape
        offsets = self.sampling_offsets(query).view(batch, queries, self.heads, -1, 2)
        weights = self.attention_weights(query).view(batch, queries, self.heads, -1).softmax(-1)
        reach = 0.5 * self.num_points_scale[:, None] * boxes[:, :, None, None, 2:]
        places = boxes[:, :, None, None, :2] + offsets * reach
        value = self.value_proj(memory)
        if self.discrete:
            attended = sampled_nearest(Table.of(value, self.heads), places, weights, shapes, self.points)
        else:
            attended = sampled_by_grid(maps_of(value, self.heads, shapes), places, weights, self.points)
        result: Tensor = self.output_proj(attended)
        return result


def maps_of(value: Tensor, heads: int, shapes: Shapes) -> list[Tensor]:
    """Values (N, cells of all levels, C) as one map a level, (N * heads, C / heads, height, width)."""
    levels = torch.split(value.transpose(1, 2), [height * width for height, width in shapes], dim=2)
    depth = value.shape[2] // heads
    return [level.reshape(-1, depth, *shape) for level, shape in zip(levels, shapes, strict=True)]


def sampled_by_grid(maps: Sequence[Tensor], places: Tensor, weights: Tensor, points: Sequence[int]) -> Tensor:
    """Weighted mean of bilinear samples; outside of a map there are zeros.

    Args:
        maps: one a level, (N * heads, D, height, width).
        places: (N, Q, heads, P, 2), x and y in 0..1 over the map; P points of all levels, level by level.
        weights: (N, Q, heads, P).
        points: how many of the P points each level has.

    Returns:
        (N, Q, heads * D).
    """
    queries, heads, total = weights.shape[1:]
    grid = (2 * places - 1).transpose(1, 2).reshape(-1, queries, total, 2)
    samples = [
        functional.grid_sample(level, at, mode="bilinear", padding_mode="zeros", align_corners=False)
        for level, at in zip(maps, torch.split(grid, list(points), dim=2), strict=True)
    ]
    weighted = torch.cat(samples, dim=-1) * weights.transpose(1, 2).reshape(-1, 1, queries, total)
    return weighted.sum(-1).reshape(-1, heads * maps[0].shape[1], queries).transpose(1, 2)


@dataclass(frozen=True)
class Table:
    """Values as rows: `rows` (N, cells * stride, D), of which head h of cell c is row c * stride + first + h."""

    rows: Tensor
    stride: int
    first: int = 0

    @staticmethod
    def of(value: Tensor, heads: int) -> Table:
        """Of values (N, cells, C)."""
        cells, channels = value.shape[1:]
        return Table(value.reshape(-1, cells * heads, channels // heads), heads)


def sampled_by_gather(table: Table, places: Tensor, weights: Tensor, shapes: Shapes, points: Sequence[int]) -> Tensor:
    """The same as `sampled_by_grid`, from rows of the value table.

    A sample mixes the two columns and two rows of cells around it. Their weights are the hat function
    max(0, 1 - |distance|), which is bilinear inside; the pair of cells is held inside of the map, so a place beyond
    the border is further than 1 from both and fades to zero as if cells of zeros lay there.
    """
    levels = Levels.of(shapes, points).to(places)
    at = places * levels.extent - 0.5
    first = torch.minimum(at.floor().relu(), levels.extent - 2)
    distance = (at - first).unsqueeze(-1) - torch.tensor([0.0, 1.0]).to(places)
    hat = (1 - distance.abs()).relu()  # (N, Q, heads, P, 2 axes, 2 cells)
    across, down = hat[..., 0, :], hat[..., 1, :]
    corners = down[..., :, None] * across[..., None, :] * weights[..., None, None]
    cell = levels.cell(first)[..., None] + levels.corner_steps
    return _weighted_rows(table, cell, corners)


def sampled_nearest(table: Table, places: Tensor, weights: Tensor, shapes: Shapes, points: Sequence[int]) -> Tensor:
    """The same with the nearest cell instead of a mixture; places beyond the border read the border."""
    levels = Levels.of(shapes, points).to(places)
    nearest = torch.minimum((places * levels.extent + 0.5).floor().relu(), levels.extent - 1)
    return _weighted_rows(table, levels.cell(nearest)[..., None], weights)


class Levels:
    """The constants that turn a place into a row of the value table, for each of the P points.

    Attributes:
        extent: (P, 2) float, width and height of the point's level.
        start: (P,) integer, row of the level's first cell.
        corner_steps: (P, 4) integer, from a cell to itself, its right, lower and lower right neighbour.
    """

    def __init__(self, extent: Tensor, start: Tensor) -> None:
        self.extent = extent
        self.start = start
        self.width = extent[:, 0].int()
        one = torch.ones_like(self.width)
        self.corner_steps = torch.stack([0 * one, one, self.width, self.width + one], dim=1)

    @staticmethod
    def of(shapes: Shapes, points: Sequence[int]) -> Levels:
        """For `points` of each level."""
        extents, starts, start = [], [], 0
        for (height, width), count in zip(shapes, points, strict=True):
            extents += [(float(width), float(height))] * count
            starts += [start] * count
            start += height * width
        return Levels(torch.tensor(extents), torch.tensor(starts, dtype=torch.int32))

    def to(self, like: Tensor) -> Levels:
        """On the device and in the floating-point type of `like`."""
        return Levels(self.extent.to(like), self.start.to(like.device))

    def cell(self, at: Tensor) -> Tensor:
        """Rows of whole x and y (..., P, 2); in integers, since float16 counts only to 2048 without gaps."""
        column, row = at.int().unbind(-1)
        return row * self.width + column + self.start


def _weighted_rows(table: Table, cell: Tensor, weights: Tensor) -> Tensor:
    """Sum over points and corners. `cell` is (N, Q, heads, P, corners), `weights` too or with P alone."""
    queries, heads, points, corners = cell.shape[1:]
    depth = table.rows.shape[2]
    head = torch.arange(heads, dtype=cell.dtype, device=cell.device)[:, None, None] + table.first
    index = (cell * table.stride + head).reshape(-1, queries * heads * points * corners)
    rows = take_rows(table.rows, index).reshape(-1, queries, heads, points * corners, depth)
    weighted = rows * weights.reshape(-1, queries, heads, points * corners, 1)
    return weighted.sum(3).reshape(-1, queries, heads * depth)
