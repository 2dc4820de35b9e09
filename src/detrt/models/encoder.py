"""The hybrid encoder: self-attention within the coarsest level, then fusion top-down and bottom-up."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from detrt.models.layers import ConvNorm, RepVgg
from detrt.models.variants import STRIDES, Variant

TEMPERATURE = 10_000.0


class Encoder(nn.Module):
    """Three levels of the backbone to three levels of `encoder_width` channels, sizes unchanged."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        width = variant.encoder_width
        conv = partial(ConvNorm, width, width, activation=functional.silu)
        block = partial(FusionBlock, width, round(width * variant.encoder_expansion))
        self.input_proj = nn.ModuleList(ConvNorm(channels, width) for channels in variant.backbone_channels)
        self.encoder = nn.ModuleList([AIFI(variant)])
        self.lateral_convs = nn.ModuleList([conv(), conv()])
        self.fpn_blocks = nn.ModuleList([block(), block()])
        self.downsample_convs = nn.ModuleList([conv(kernel=3, stride=2), conv(kernel=3, stride=2)])
        self.pan_blocks = nn.ModuleList([block(), block()])

    def forward(self, levels: Sequence[Tensor]) -> list[Tensor]:
        fine, middle, coarse = (project(level) for project, level in zip(self.input_proj, levels, strict=True))
        coarse = self.encoder[0](coarse)

        coarse = self.lateral_convs[0](coarse)
        middle = self.lateral_convs[1](self.fpn_blocks[0](torch.cat([_doubled(coarse), middle], dim=1)))
        fine = self.fpn_blocks[1](torch.cat([_doubled(middle), fine], dim=1))

        middle = self.pan_blocks[0](torch.cat([self.downsample_convs[0](fine), middle], dim=1))
        coarse = self.pan_blocks[1](torch.cat([self.downsample_convs[1](middle), coarse], dim=1))
        return [fine, middle, coarse]


class AIFI(nn.Module):
    """Attention-based intra-scale feature interaction: a transformer over the cells of one level."""

    position: Tensor

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        height, width = (side // STRIDES[-1] for side in variant.size)
        self.layers = nn.ModuleList([AIFILayer(variant)])
        self.register_buffer("position", position_embedding(height, width, variant.encoder_width), persistent=False)

    def forward(self, level: Tensor) -> Tensor:
        batch, channels, height, width = level.shape
        cells = level.flatten(2).transpose(1, 2)
        for layer in self.layers:
            cells = layer(cells, self.position)
        return cells.transpose(1, 2).reshape(batch, channels, height, width)


class AIFILayer(nn.Module):
    """Self-attention and feed-forward, each with a residual and a norm behind it."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        width, inside = variant.encoder_width, variant.encoder_feedforward
        self.self_attn = nn.MultiheadAttention(width, variant.heads, batch_first=True)
        self.linear1 = nn.Linear(width, inside)
        self.linear2 = nn.Linear(inside, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)

    def forward(self, cells: Tensor, position: Tensor) -> Tensor:
        placed = cells + position
        attended, _ = self.self_attn(placed, placed, cells, need_weights=False)
        cells = self.norm1(cells + attended)
        fed: Tensor = self.norm2(cells + self.linear2(functional.gelu(self.linear1(cells))))
        return fed


class FusionBlock(nn.Module):
    """CSP block: three RepVGG blocks beside a plain projection, summed. Takes two levels stacked by channel."""

    def __init__(self, width: int, inside: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(2 * width, inside, activation=functional.silu)
        self.conv2 = ConvNorm(2 * width, inside, activation=functional.silu)
        self.bottlenecks = nn.Sequential(*(RepVgg(inside) for _ in range(3)))
        self.conv3 = ConvNorm(inside, width, activation=functional.silu) if inside != width else nn.Identity()

    def forward(self, stacked: Tensor) -> Tensor:
        result: Tensor = self.conv3(self.bottlenecks(self.conv1(stacked)) + self.conv2(stacked))
        return result


def position_embedding(height: int, width: int, channels: int) -> Tensor:
    """Sines and cosines of each cell's row and column, (1, height * width, channels).

    The channels hold sin(row), cos(row), sin(column), cos(column), a quarter each; cells go row by row. The official
    code swaps the two axes' order between embedding and features, which shows only where the input is not square;
    this is the order that it was trained with, carried on to any shape.
    """
    omega = TEMPERATURE ** -(torch.arange(channels // 4, dtype=torch.float64) / (channels // 4))
    rows, columns = torch.meshgrid(torch.arange(height).double(), torch.arange(width).double(), indexing="ij")
    angles = [axis.reshape(-1, 1) * omega for axis in (rows, columns)]
    return torch.cat([wave for angle in angles for wave in (angle.sin(), angle.cos())], dim=1)[None].float()


def _doubled(level: Tensor) -> Tensor:
    return functional.interpolate(level, scale_factor=2.0, mode="nearest")
