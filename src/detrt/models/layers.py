"""What backbone, encoder and decoder are built from: a convolution with its norm, RepVGG blocks, small MLPs."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

NORM_EPSILON = 1e-5

Activation = Callable[[Tensor], Tensor]


def linear(value: Tensor) -> Tensor:
    """No activation."""
    return value


class FrozenNorm(nn.Module):
    """A batch norm that training leaves alone: the backbone's norm in ResNet-50 and 101, no `num_batches_tracked`."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, features: Tensor) -> Tensor:
        return functional.batch_norm(
            features, self.running_mean, self.running_var, self.weight, self.bias, eps=NORM_EPSILON
        )


class ConvNorm(nn.Module):
    """Convolution without bias, norm, activation. `kernel` is odd and the padding keeps the size."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        activation: Activation = linear,
        frozen: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        self.norm: nn.Module = FrozenNorm(outputs) if frozen else nn.BatchNorm2d(outputs, eps=NORM_EPSILON)
        self.activation = activation

    def forward(self, features: Tensor) -> Tensor:
        return self.activation(self.norm(self.conv(features)))


class RepVgg(nn.Module):
    """A 3x3 and a 1x1 convolution side by side, summed: one 3x3 once the model is deployed."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = ConvNorm(channels, channels, 3)
        self.conv2 = ConvNorm(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        return functional.silu(self.conv1(features) + self.conv2(features))


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in pairwise(widths))

    def forward(self, features: Tensor) -> Tensor:
        *inner, last = self.layers
        for layer in inner:
            features = functional.relu(layer(features))
        result: Tensor = last(features)
        return result
