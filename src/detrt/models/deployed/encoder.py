"""The hybrid encoder, deployed."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from detrt.models.deployed.fold import Affine, folded, stacked
from detrt.models.deployed.heads import Heads, projections
from detrt.models.encoder import AIFI, AIFILayer, Encoder, FusionBlock
from detrt.models.variants import STRIDES, Variant


class DeployedEncoder(nn.Module):
    """`Encoder`; the projections of the two finer levels are inside of the fusion blocks that read them."""

    def __init__(self, encoder: Encoder, variant: Variant) -> None:
        super().__init__()
        fine, middle, coarse = encoder.input_proj
        self.input_proj = folded(coarse)
        self.aifi = DeployedAIFI(encoder.encoder[0], variant)
        self.lateral_convs = folded(encoder.lateral_convs)
        self.fpn_blocks = nn.ModuleList(
            TopDown(block, project) for block, project in zip(encoder.fpn_blocks, (middle, fine), strict=True)
        )
        self.downsample_convs = folded(encoder.downsample_convs)
        self.pan_blocks = nn.ModuleList(BottomUp(block) for block in encoder.pan_blocks)

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        fine, middle, coarse = levels
        coarse = self.lateral_convs[0](self.aifi(self.input_proj(coarse)))
        middle = self.lateral_convs[1](self.fpn_blocks[0](coarse, middle))
        fine = self.fpn_blocks[1](middle, fine)
        middle = self.pan_blocks[0](self.downsample_convs[0](fine), middle)
        coarse = self.pan_blocks[1](self.downsample_convs[1](middle), coarse)
        return [fine, middle, coarse]


class DeployedFusion(nn.Module):
    """`FusionBlock` from its first convolutions on, which are one here."""

    def __init__(self, block: FusionBlock) -> None:
        super().__init__()
        self.inside = block.conv1.conv.out_channels
        self.bottlenecks = folded(block.bottlenecks)
        self.conv3 = folded(block.conv3)

    def fused(self, mixed: Tensor) -> Tensor:
        deep, plain = functional.silu(mixed).split(self.inside, dim=1)
        result: Tensor = self.conv3(self.bottlenecks(deep) + plain)
        return result


class BottomUp(DeployedFusion):
    """Of two levels of equal size."""

    def __init__(self, block: FusionBlock) -> None:
        super().__init__(block)
        self.conv1 = stacked(Affine.of(block.conv1), Affine.of(block.conv2)).conv()

    def forward(self, finer: Tensor, coarser: Tensor) -> Tensor:
        return self.fused(self.conv1(torch.cat([finer, coarser], dim=1)))


class TopDown(DeployedFusion):
    """Of a coarse level and one of the backbone at twice its size, which is projected on the way.

    A 1x1 convolution of two stacked maps is the sum of one for each. The coarse one is doubled behind its
    convolution instead of before, which is a quarter of the work; the fine one's takes the projection in.
    """

    def __init__(self, block: FusionBlock, project: nn.Module) -> None:
        super().__init__(block)
        both = stacked(Affine.of(block.conv1), Affine.of(block.conv2))
        coarse, fine = both.halves()
        self.coarse = coarse.conv(bias=False)
        self.fine = fine.after(Affine.of(project)).conv()

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        doubled = functional.interpolate(self.coarse(coarse), scale_factor=2.0, mode="nearest")
        return self.fused(self.fine(fine) + doubled)


class DeployedAIFI(nn.Module):
    """`AIFI`, on rows."""

    def __init__(self, aifi: AIFI, variant: Variant) -> None:
        super().__init__()
        height, width = (side // STRIDES[-1] for side in variant.size)
        self.shape = (variant.encoder_width, height, width)
        self.layers = nn.ModuleList(DeployedAIFILayer(layer, aifi.position) for layer in aifi.layers)

    def forward(self, level: Tensor) -> Tensor:
        channels, height, width = self.shape
        cells = level.reshape(-1, channels, height * width).transpose(1, 2)
        for layer in self.layers:
            cells = layer(cells)
        return cells.transpose(1, 2).reshape(-1, channels, height, width)


class DeployedAIFILayer(nn.Module):
    """`AIFILayer`. The position embedding's part in queries and keys is a constant; values get zeros.

    GELU is x/2 (1 + erf(x / sqrt(2))); its two factors are inside of the linear layers around it.
    """

    placed: Tensor

    def __init__(self, layer: AIFILayer, position: Tensor) -> None:
        super().__init__()
        query_key, value = projections(layer.self_attn)
        qkv = stacked(query_key, value)
        self.qkv = qkv.linear(bias=False)
        places = position.double() @ query_key.weight[:, :, 0, 0].T
        self.register_buffer("placed", (functional.pad(places, (0, len(value.bias))) + qkv.bias).float())
        self.self_attn = Heads(layer.self_attn, position.shape[1])
        self.linear1 = Affine.of(layer.linear1).scaled(0.5**0.5).linear()
        second = Affine.of(layer.linear2)
        self.linear2 = Affine(second.weight * 0.5**0.5, second.bias).linear()
        self.norm1, self.norm2 = layer.norm1, layer.norm2

    def forward(self, cells: Tensor) -> Tensor:
        count, width = cells.shape[1:]
        placed = self.qkv(cells) + self.placed
        rows = cells.reshape(-1, width)
        rows = self.norm1(rows + self.self_attn(*self.self_attn.split(placed)))
        inner = self.linear1(rows)
        fed: Tensor = self.norm2(rows + self.linear2(inner * (1 + inner.erf())))
        return fed.reshape(-1, count, width)
