"""Deformable attention, deployed: on values that are projected already, laid out for the way in which they are read."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from detrt.models.attention import DeformableAttention, Table, sampled_by_gather, sampled_nearest
from detrt.models.deployed.fold import Affine
from detrt.models.variants import STRIDES, Variant


def level_shapes(variant: Variant) -> list[tuple[int, int]]:
    """Height and width of each level."""
    height, width = variant.size
    return [(height // stride, width // stride) for stride in STRIDES]


class MapValues(nn.Module):
    """From projected levels (N, parts * C, h, w): candidates as rows, and each layer's values as maps.

    With one image a part's heads are a run of maps, and parting them moves nothing.
    """

    def __init__(self, variant: Variant, *, single: bool) -> None:
        super().__init__()
        self.single, self.parts = single, 1 + variant.evaluated
        self.width, self.heads = variant.hidden, variant.heads

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, list[list[Tensor]]]:
        """Candidates (N * cells, C), level by level in an image; values by layer and level, (N * heads, D, h, w)."""
        depth = self.width // self.heads
        maps = []
        for level in levels:
            height, width = level.shape[2:]
            if self.single:
                parts = torch.split(level.reshape(-1, depth, height, width), self.heads)
            else:
                parts = tuple(part.reshape(-1, depth, height, width) for part in torch.split(level, self.width, dim=1))
            maps.append(parts)
        first, *layers = zip(*maps, strict=True)
        return rows_of(first, self.width, single=self.single), [list(layer) for layer in layers]


def rows_of(levels: Sequence[Tensor], channels: int, *, single: bool) -> Tensor:
    """Levels of `channels` in all as rows (N * cells, channels), level by level within an image."""
    if single:
        return torch.cat([level.reshape(channels, -1).t() for level in levels])
    cells = [level.reshape(-1, channels, level.shape[2] * level.shape[3]).transpose(1, 2) for level in levels]
    return torch.cat(cells, dim=1).reshape(-1, channels)


class RowValues(nn.Module):
    """The same, with each layer's values as a table of rows that all layers share."""

    def __init__(self, variant: Variant, *, single: bool) -> None:
        super().__init__()
        self.single, self.parts = single, 1 + variant.evaluated
        self.width, self.heads = variant.hidden, variant.heads
        self.cells = sum(height * width for height, width in level_shapes(variant))

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, list[Table]]:
        """Candidates (N * cells, C); a table for each layer."""
        stride = self.parts * self.heads
        cells = rows_of(levels, self.parts * self.width, single=self.single)
        rows = cells.reshape(-1, self.cells * stride, self.width // self.heads)
        return cells[:, : self.width], [Table(rows, stride, part * self.heads) for part in range(1, self.parts)]


class Sampling(nn.Module):
    """What both ways of reading share: where each head looks, and how much it heeds what it sees."""

    def __init__(self, attention: DeformableAttention, variant: Variant, shift: Tensor, *, single: bool) -> None:
        super().__init__()
        self.single, self.queries = single, variant.queries
        self.heads, self.points, self.total = variant.heads, variant.points, sum(variant.points)
        self.shapes, self.discrete = level_shapes(variant), attention.discrete
        self.sampling_offsets = Affine.of(attention.sampling_offsets).behind(shift).scaled(self._reach()).linear()
        self.attention_weights = Affine.of(attention.attention_weights).behind(shift).linear()

    def _reach(self) -> Tensor:
        """An offset of 1 is half the box, over the number of points of its level."""
        reach = torch.tensor([0.5 / count for count in self.points for _ in range(count)], dtype=torch.float64)
        return reach.repeat_interleave(2).repeat(self.heads)


class MapSampling(Sampling):
    """Bilinear, by GridSample: every head of every image is an image of its own, points down and queries across."""

    def forward(self, query: Tensor, boxes: Tensor, maps: Sequence[Tensor]) -> Tensor:
        """Rows of queries (N * Q, C), boxes (N * Q, 4) and maps by level; to rows (N * Q, C)."""
        queries, heads, total = self.queries, self.heads, self.total
        offsets, weights = self.sampling_offsets(query), self.attention_weights(query)
        if self.single:
            offsets = offsets.reshape(queries, heads, total, 2).permute(1, 2, 0, 3)
            weights = weights.reshape(queries, heads, 1, total).permute(1, 2, 3, 0)
            centre, extent = torch.split(boxes, 2, dim=1)
        else:
            offsets = offsets.reshape(-1, queries, heads, total, 2).permute(0, 2, 3, 1, 4)
            weights = weights.reshape(-1, queries, heads, total).permute(0, 2, 3, 1)
            centre, extent = torch.split(boxes.reshape(-1, 1, 1, queries, 4), 2, dim=4)
        grid = (offsets * extent + (2 * centre - 1)).reshape(-1, total, queries, 2)
        samples = [
            functional.grid_sample(level, at, mode="bilinear", padding_mode="zeros", align_corners=False)
            for level, at in zip(maps, torch.split(grid, list(self.points), dim=1), strict=True)
        ]
        weights = weights.reshape(-1, 1, total, queries).softmax(2)
        read: Tensor = (torch.cat(samples, dim=2) * weights).sum(2)
        width = heads * read.shape[1]
        if self.single:
            return read.reshape(width, queries).t()
        return read.reshape(-1, width, queries).transpose(1, 2).reshape(-1, width)

    def _reach(self) -> Tensor:
        return 2 * super()._reach()  # GridSample counts from -1 to 1


class RowSampling(Sampling):
    """Bilinear or nearest, by picking rows."""

    def forward(self, query: Tensor, boxes: Tensor, table: Table) -> Tensor:
        """Rows of queries (N * Q, C), boxes (N * Q, 4) and the layer's table; to rows (N * Q, C)."""
        shape = (-1, self.queries, self.heads, self.total)
        weights = self.attention_weights(query).reshape(*shape).softmax(-1)
        centre, extent = torch.split(boxes.reshape(-1, self.queries, 1, 1, 4), 2, dim=4)
        places = centre + self.sampling_offsets(query).reshape(*shape, 2) * extent
        read = sampled_nearest if self.discrete else sampled_by_gather
        result = read(table, places, weights, self.shapes, self.points)
        return result.reshape(-1, result.shape[2])
