"""Self-attention on rows, from projections that lie side by side."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detrt.models.deployed.fold import Affine, stacked


class Heads(nn.Module):
    """`nn.MultiheadAttention` between its input and its output projection."""

    def __init__(self, attention: nn.MultiheadAttention, count: int) -> None:
        super().__init__()
        self.heads, self.depth, self.count = attention.num_heads, attention.head_dim, count

    def forward(self, projected: Tensor) -> Tensor:
        """Queries, keys and values side by side, rows (N * K, 3 C), the queries scaled; to rows (N * K, C)."""
        parts = projected.reshape(-1, self.count, 3 * self.heads, self.depth).transpose(1, 2)
        query, key, value = torch.split(parts, self.heads, dim=1)
        attended = (query @ key.transpose(2, 3)).softmax(-1) @ value
        rows: Tensor = attended.transpose(1, 2).reshape(-1, self.heads * self.depth)
        return rows


def projections(attention: nn.MultiheadAttention) -> tuple[Affine, Affine]:
    """Projections to queries and keys, stacked, and to values; the queries hold the 1 / sqrt(depth) of the scores."""
    assert attention.in_proj_weight is not None
    assert attention.in_proj_bias is not None
    weights = attention.in_proj_weight.double()[:, :, None, None].chunk(3)
    biases = attention.in_proj_bias.double().chunk(3)
    query, key, value = (Affine(weight, bias) for weight, bias in zip(weights, biases, strict=True))
    return stacked(query.scaled(attention.head_dim**-0.5), key), value
