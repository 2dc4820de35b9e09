"""The hybrid encoder, deployed: folded convolutions around a transformer layer on rows."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from detrt.models.deployed.fold import Affine, FoldedConv, folded, shifted, stacked
from detrt.models.deployed.heads import Heads, projections
from detrt.models.encoder import AIFI, AIFILayer, Encoder, FusionBlock
from detrt.models.variants import STRIDES, Variant


def deployed_encoder(encoder: Encoder, variant: Variant, *, single: bool) -> nn.Module:
    """`Encoder` with its norms folded, and AIFI as `DeployedAIFI`; `single` where the batch is known to be 1."""
    result = cast(Encoder, folded(encoder))
    aifi = DeployedAIFI(cast(AIFI, encoder.encoder[0]), variant, single=single)
    coarse = Affine.of(encoder.input_proj[-1]).plus(aifi.shift)
    result.input_proj = nn.ModuleList([*list(result.input_proj)[:-1], FoldedConv(coarse)])
    result.encoder = nn.ModuleList([aifi])
    result.fpn_blocks, result.pan_blocks = (
        nn.ModuleList(DeployedFusion(cast(FusionBlock, block)) for block in blocks)
        for blocks in (encoder.fpn_blocks, encoder.pan_blocks)
    )
    return result


class DeployedFusion(nn.Module):
    """`FusionBlock` with its two first convolutions, which read the same, as one."""

    def __init__(self, block: FusionBlock) -> None:
        super().__init__()
        first = stacked(Affine.of(block.conv1), Affine.of(block.conv2))
        self.inside = len(first.bias) // 2
        self.conv1 = FoldedConv(first, activation=functional.silu)
        self.bottlenecks, self.conv3 = folded(block.bottlenecks), folded(block.conv3)

    def forward(self, levels: Tensor) -> Tensor:
        deep, plain = self.conv1(levels).split(self.inside, dim=1)
        result: Tensor = self.conv3(self.bottlenecks(deep) + plain)
        return result


class DeployedAIFI(nn.Module):
    """`AIFI` on a level that comes with `shift` added to each cell."""

    def __init__(self, aifi: AIFI, variant: Variant, *, single: bool) -> None:
        super().__init__()
        height, width = (side // STRIDES[-1] for side in variant.size)
        self.single, self.shape = single, (variant.encoder_width, height, width)
        (layer,) = cast("list[AIFILayer]", list(aifi.layers))
        self.layer = DeployedAIFILayer(layer, aifi.position, single=single)
        self.shift = layer.self_attn.out_proj.bias.detach()

    def forward(self, level: Tensor) -> Tensor:
        channels, height, width = self.shape
        if self.single:
            single: Tensor = self.layer(level.reshape(channels, height * width).t())
            return single.t().reshape(1, channels, height, width)
        cells = level.reshape(-1, channels, height * width).transpose(1, 2)
        rows: Tensor = self.layer(cells.reshape(-1, channels)).reshape(-1, height * width, channels)
        return rows.transpose(1, 2).reshape(-1, channels, height, width)


class DeployedAIFILayer(nn.Module):
    """`AIFILayer` on rows (N * K, C) that hold the output projection's bias already.

    Each residual sum takes its branch's bias from the rows that the branch is added to, so that product and sum are
    one; whatever else reads those rows has the bias taken out of its own. The position embedding's part in queries
    and keys is a constant (values get zeros). GELU is x/2 (1 + erf(x / sqrt(2))); its two factors are inside of the
    linear layers around it.
    """

    placed: Tensor

    def __init__(self, layer: AIFILayer, position: Tensor, *, single: bool) -> None:
        super().__init__()
        self.single, self.count = single, position.shape[1]
        query_key, value = projections(layer.self_attn)
        qkv = stacked(query_key, value).behind(layer.self_attn.out_proj.bias)
        places = functional.pad(position[0].double() @ query_key.matrix.T, (0, len(value.bias)))
        self.register_buffer("placed", (places + qkv.bias).float())
        self.qkv_proj = qkv.onto()
        self.self_attn = Heads(layer.self_attn, self.count)
        self.out_proj = Affine.of(layer.self_attn.out_proj).onto()
        self.norm1 = shifted(layer.norm1, layer.linear2.bias)
        self.linear1 = Affine.of(layer.linear1).behind(layer.linear2.bias).scaled(0.5**0.5).linear()
        second = Affine.of(layer.linear2)
        self.linear2 = Affine(second.weight * 0.5**0.5, second.bias).onto()
        self.norm2 = layer.norm2

    def forward(self, rows: Tensor) -> Tensor:
        if self.single:
            projected = self.qkv_proj(self.placed, rows)
        else:
            projected = (rows @ self.qkv_proj.weight).reshape(-1, *self.placed.shape) + self.placed
        rows = self.norm1(self.out_proj(rows, self.self_attn(projected)))
        inner = self.linear1(rows)
        fed: Tensor = self.norm2(self.linear2(rows, inner + inner * inner.erf()))
        return fed
