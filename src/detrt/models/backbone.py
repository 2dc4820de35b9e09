"""ResNet-vd: three 3x3 convolutions as the stem, and shortcuts that average before they project."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from torch import Tensor, nn
from torch.nn import functional

from detrt.models.layers import ConvNorm
from detrt.models.variants import Variant


class Backbone(nn.Module):
    """Images (N, 3, H, W) in 0..1 to three levels (N, C, H/s, W/s) at strides 8, 16 and 32."""

    def __init__(self, variant: Variant) -> None:
        super().__init__()
        half, width, frozen = variant.stem // 2, variant.stem, variant.frozen_norm
        conv = partial(ConvNorm, kernel=3, activation=functional.relu, frozen=frozen)
        self.conv1 = nn.Sequential(
            OrderedDict(
                conv1_1=conv(3, half, stride=2),
                conv1_2=conv(half, half),
                conv1_3=conv(half, width),
            )
        )
        self.res_layers = nn.ModuleList()
        inputs = width
        for stage, count in enumerate(variant.blocks):
            self.res_layers.append(Stage(variant, inputs, width << stage, count, stride=1 if stage == 0 else 2))
            inputs = (width << stage) * (4 if variant.bottleneck else 1)

    def forward(self, images: Tensor) -> list[Tensor]:
        features = functional.max_pool2d(self.conv1(images), kernel_size=3, stride=2, padding=1)
        levels = []
        for stage in self.res_layers:
            features = stage(features)
            levels.append(features)
        return levels[1:]


class Stage(nn.Module):
    """Residual blocks of one resolution; the first of them changes it."""

    def __init__(self, variant: Variant, inputs: int, width: int, count: int, *, stride: int) -> None:
        super().__init__()
        block = BottleneckBlock if variant.bottleneck else BasicBlock
        outputs = width * (4 if variant.bottleneck else 1)
        self.blocks = nn.ModuleList(
            [
                block(inputs, width, stride=stride, project=True, frozen=variant.frozen_norm),
                *(block(outputs, width, frozen=variant.frozen_norm) for _ in range(count - 1)),
            ]
        )

    def forward(self, features: Tensor) -> Tensor:
        for block in self.blocks:
            features = block(features)
        return features


class BasicBlock(nn.Module):
    """Two 3x3 convolutions (ResNet-18 and 34)."""

    def __init__(
        self, inputs: int, width: int, *, stride: int = 1, project: bool = False, frozen: bool = False
    ) -> None:
        super().__init__()
        self.branch2a = ConvNorm(inputs, width, 3, stride, activation=functional.relu, frozen=frozen)
        self.branch2b = ConvNorm(width, width, 3, frozen=frozen)
        self.short = _shortcut(inputs, width, stride, frozen) if project else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        return functional.relu(self.branch2b(self.branch2a(features)) + self.short(features))


class BottleneckBlock(nn.Module):
    """1x1, 3x3 (which holds the stride) and 1x1 to four times the width (ResNet-50 and 101)."""

    def __init__(
        self, inputs: int, width: int, *, stride: int = 1, project: bool = False, frozen: bool = False
    ) -> None:
        super().__init__()
        self.branch2a = ConvNorm(inputs, width, activation=functional.relu, frozen=frozen)
        self.branch2b = ConvNorm(width, width, 3, stride, activation=functional.relu, frozen=frozen)
        self.branch2c = ConvNorm(width, 4 * width, frozen=frozen)
        self.short = _shortcut(inputs, 4 * width, stride, frozen) if project else nn.Identity()

    def forward(self, features: Tensor) -> Tensor:
        inner = self.branch2c(self.branch2b(self.branch2a(features)))
        return functional.relu(inner + self.short(features))


def _shortcut(inputs: int, outputs: int, stride: int, frozen: bool) -> nn.Module:
    project = ConvNorm(inputs, outputs, frozen=frozen)
    return project if stride == 1 else nn.Sequential(OrderedDict(pool=nn.AvgPool2d(2), conv=project))
