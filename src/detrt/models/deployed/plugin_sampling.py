"""Deformable attention, deployed, as one operator from projected queries to weighted samples: `DeformableAttention`.

The operator is that of `kernels/deformable_attention.cu`; in ONNX, `graph/deformable_attention.py` defines it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from detrt.models.attention import Shapes, Table, maps_of, sampled_by_grid, sampled_nearest
from detrt.models.deployed.sampling import Sampling, rows_of
from detrt.models.variants import Variant

OFFSET_SCALE = 0.5
"""An offset of 1 is half the box, over the number of points of its level."""


class LayerValues(nn.Module):
    """From projected levels (N, parts * C, h, w): candidates as rows, and each layer's values as rows of its own.

    A head's channels of a cell lie side by side then, so the kernel reads them 16 bytes at a time.
    """

    def __init__(self, variant: Variant, *, single: bool) -> None:
        super().__init__()
        self.single, self.width = single, variant.hidden

    def forward(self, levels: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Candidates (N * cells, C), level by level in an image; values by layer, (N * cells, C) too."""
        parts = zip(*(torch.split(level, self.width, dim=1) for level in levels), strict=True)
        first, *layers = [rows_of(part, self.width, single=self.single) for part in parts]
        return first, layers


class PluginSampling(Sampling):
    """Both ways of reading, by one operator."""

    def forward(self, query: Tensor, boxes: Tensor, value: Tensor) -> Tensor:
        """Rows of queries (N * Q, C), boxes (N * Q, 4) and the layer's values (N * cells, C); to rows (N * Q, C)."""
        cells, width = sum(height * width for height, width in self.shapes), value.shape[1]
        attended = cast(
            Tensor,
            _DeformableAttention.apply(  # type: ignore[no-untyped-call]
                value.reshape(-1, cells, width),
                boxes.reshape(-1, self.queries, 4),
                self.sampling_offsets(query).reshape(-1, self.queries, 2 * self.heads * self.total),
                self.attention_weights(query).reshape(-1, self.queries, self.heads * self.total),
                self.heads,
                self.shapes,
                self.points,
                self.discrete,
            ),
        )
        return attended.reshape(-1, width)

    def _reach(self) -> Tensor:
        return torch.ones(2 * self.heads * self.total, dtype=torch.float64)  # the operator scales


class _DeformableAttention(torch.autograd.Function):
    """A node of its own in the trace; here, what it computes."""

    @staticmethod
    def forward(
        ctx: Any,
        value: Tensor,
        references: Tensor,
        offsets: Tensor,
        logits: Tensor,
        heads: int,
        shapes: Shapes,
        points: Sequence[int],
        discrete: bool,
    ) -> Tensor:
        batch, queries = references.shape[:2]
        counts = torch.tensor([1 / count for count in points for _ in range(count)]).to(offsets)
        reach = OFFSET_SCALE * counts[:, None] * references[:, :, None, None, 2:]
        places = references[:, :, None, None, :2] + offsets.view(batch, queries, heads, -1, 2) * reach
        weights = logits.view(batch, queries, heads, -1).softmax(-1)
        if discrete:
            return sampled_nearest(Table.of(value, heads), places, weights, shapes, points)
        return sampled_by_grid(maps_of(value, heads, shapes), places, weights, points)

    @staticmethod
    def symbolic(
        g: Any,
        value: Any,
        references: Any,
        offsets: Any,
        logits: Any,
        heads: int,
        shapes: Shapes,
        points: Sequence[int],
        discrete: bool,
    ) -> Any:
        """How the tracer writes it."""
        node = g.op(
            "detrt::DeformableAttention",
            value,
            references,
            offsets,
            logits,
            heads_i=heads,
            shapes_i=[side for shape in shapes for side in shape],
            points_i=list(points),
            offset_scale_f=OFFSET_SCALE,
            discrete_i=int(discrete),
        )
        sizes = value.type().sizes()  # nothing, where the batch is open
        return node.setType(value.type().with_sizes([None, None, sizes[2] if sizes else None]))
