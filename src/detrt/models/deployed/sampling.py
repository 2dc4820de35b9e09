"""Deformable attention, deployed: on values that are projected already, with one layout for each way of reading."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from detrt.models.attention import (
    DeformableAttention,
    Sampler,
    Table,
    sampled_by_gather,
    sampled_by_grid,
    sampled_nearest,
)
from detrt.models.deployed.fold import Affine
from detrt.models.variants import STRIDES, Variant

class Values(nn.Module):
    """From the projected levels (N, parts * C, h, w): candidates (N, cells, C), and the values for each layer."""
    def __init__(self, variant: Variant, sampler: Sampler) -> None:
        super().__init__()
        self.parts, self.width, self.heads = 1 + variant.evaluated, variant.hidden, variant.heads
        self.shapes = [(variant.size[0] // stride, variant.size[1] // stride) for stride in STRIDES]
        self.maps = variant.sampling == "bilinear" and sampler == "grid-sample"

    def forward(self, levels):
        if self.maps:
            parts = [level.split(self.width, dim=1) for level in levels]
            first, *rest = zip(*parts)
            depth = self.width // self.heads
            values = [[level.reshape(-1, depth, *shape) for level, shape in zip(layer, self.shapes)] for layer in rest]
            return torch.cat([self._rows(level, shape, self.width) for level, shape in zip(first, self.shapes)], 1), *values
        rows = torch.cat([self._rows(level, shape, self.width*self.parts) for level, shape in zip(levels, self.shapes)], 1)
        cells = sum(h * w for h, w in self.shapes)
        stride = self.parts * self.heads
        table = rows.reshape(-1, cells * stride, self.width // self.heads)
        return rows[:, :, : self.width], *(Table(table, stride, part * self.heads) for part in range(1, self.parts))

    def _rows(self, level, shape, width):
        return level.reshape(-1, width, shape[0] * shape[1]).transpose(1, 2)


class DeployedSampling(nn.Module):
    def __init__(self, attention: DeformableAttention, variant: Variant, sampler: Sampler) -> None:
        super().__init__()
        self.heads, self.points, self.queries = attention.heads, attention.points, variant.queries
        self.shapes = [(variant.size[0] // stride, variant.size[1] // stride) for stride in STRIDES]
        self.discrete, self.maps = attention.discrete, variant.sampling == "bilinear" and sampler == "grid-sample"
        reach = 0.5 * attention.num_points_scale.repeat_interleave(2).repeat(self.heads)
        self.sampling_offsets = Affine.of(attention.sampling_offsets).scaled(reach).linear()
        self.attention_weights = attention.attention_weights
        self.output_proj = attention.output_proj

    def forward(self, query: Tensor, boxes: Tensor, value) -> Tensor:
        shape = (-1, self.queries, self.heads, sum(self.points))
        offsets = self.sampling_offsets(query).reshape(*shape, 2)
        weights = self.attention_weights(query).reshape(*shape).softmax(-1)
        centre, extent = boxes.reshape(-1, self.queries, 1, 1, 4).split(2, dim=-1)
        places = centre + offsets * extent
        if self.maps:
            attended = sampled_by_grid(value, places, weights, self.points)
        else:
            read = sampled_nearest if self.discrete else sampled_by_gather
            attended = read(value, places, weights, self.shapes, self.points)
        return self.output_proj(attended.reshape(-1, attended.shape[2]))
