"""Self-attention on rows: the projections of queries and keys as one, the scores' scale inside of it."""

from __future__ import annotations

from torch import Tensor, nn

from detrt.models.deployed.fold import Affine, stacked


class Heads(nn.Module):
    """`nn.MultiheadAttention` behind its input projections: scores, softmax, mean of values, output projection."""

    def __init__(self, attention: nn.MultiheadAttention, count: int) -> None:
        super().__init__()
        self.heads, self.depth, self.count = attention.num_heads, attention.head_dim, count
        self.out_proj = Affine.of(attention.out_proj).linear()

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Attend; each is (N, heads, K, depth), and the result rows (N * K, C)."""
        attended = (query @ key.transpose(2, 3)).softmax(-1) @ value
        result: Tensor = self.out_proj(attended.transpose(1, 2).reshape(-1, self.heads * self.depth))
        return result

    def split(self, rows: Tensor) -> tuple[Tensor, ...]:
        """Rows (N * K, parts * C) as that many (N, heads, K, depth)."""
        heads = rows.shape[-1] // self.depth
        return rows.reshape(-1, self.count, heads, self.depth).transpose(1, 2).split(self.heads, dim=1)


def projections(attention: nn.MultiheadAttention) -> tuple[Affine, Affine]:
    """Projections to queries and keys, stacked, and to values; the queries hold the 1 / sqrt(depth) of the scores."""
    assert attention.in_proj_weight is not None
    assert attention.in_proj_bias is not None
    weights = attention.in_proj_weight.double().chunk(3)
    biases = attention.in_proj_bias.double().chunk(3)
    query, key, value = (
        Affine(weight[:, :, None, None], bias) for weight, bias in zip(weights, biases, strict=True)
    )
    return stacked(query.scaled(attention.head_dim**-0.5), key), value
