"""Folding linear steps into one, computed in float64 and rounded once."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from detrt.models.layers import NORM_EPSILON, Activation, ConvNorm, RepVgg, linear


Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class Affine:
    """`y = weight x + bias` over channels, in float64: weight (outputs, inputs, kernel, kernel), bias (outputs)."""

    weight: Tensor
    bias: Tensor

    @staticmethod
    def of(layer: nn.Module) -> Affine:
        """Of a linear layer, or of a convolution with or without its norm.

        Raises:
            TypeError: the layer is none of these.
        """
        match layer:
            case nn.Linear() | nn.Conv2d():
                weight, bias = layer.weight.double(), layer.bias
                outputs, inputs = weight.shape[:2]
                return Affine(
                    weight.reshape(outputs, inputs, *(weight.shape[2:] or (1, 1))),
                    torch.zeros(outputs, dtype=weight.dtype) if bias is None else bias.double(),
                )
            case ConvNorm():
                conv, norm = Affine.of(layer.conv), layer.norm
                gain = norm.weight.double() / (norm.running_var.double() + NORM_EPSILON).sqrt()
                bias = norm.bias.double() + (conv.bias - norm.running_mean.double()) * gain
                return Affine(conv.weight * gain[:, None, None, None], bias)
            case RepVgg():
                wide, narrow = Affine.of(layer.conv1), Affine.of(layer.conv2)
                return Affine(wide.weight + functional.pad(narrow.weight, (1, 1, 1, 1)), wide.bias + narrow.bias)
        raise TypeError(type(layer).__name__)

    def after(self, first: Affine) -> Affine:
        """This one, of kernel 1, on the result of `first`."""
        matrix = self.weight[:, :, 0, 0]
        return Affine(torch.einsum("om,mikl->oikl", matrix, first.weight), matrix @ first.bias + self.bias)

    def halves(self) -> tuple[Affine, Affine]:
        """On the first and on the second half of the input's channels; they sum to this one. The second has the bias."""
        first, second = self.weight.chunk(2, dim=1)
        return Affine(first, torch.zeros_like(self.bias)), Affine(second, self.bias)

    def without_bias(self) -> Affine:
        """The weight alone."""
        return Affine(self.weight, torch.zeros_like(self.bias))

    def scaled(self, factor: float | Tensor) -> Affine:
        """Each output times its factor."""
        factors = torch.as_tensor(factor, dtype=torch.float64).expand_as(self.bias)
        return Affine(self.weight * factors[:, None, None, None], self.bias * factors)

    def conv(self, stride: int = 1, *, bias: bool = True) -> nn.Conv2d:
        """As a convolution. An odd kernel keeps the size, an even one reads only what lies inside."""
        outputs, inputs, kernel, _ = self.weight.shape
        padding = kernel // 2 if kernel % 2 else 0
        return _filled(nn.Conv2d(inputs, outputs, kernel, stride, padding, bias=bias), self.weight, self.bias)

    def linear(self, *, bias: bool = True) -> nn.Linear:
        """As a linear layer; the kernel must be 1."""
        outputs, inputs = self.weight.shape[:2]
        return _filled(nn.Linear(inputs, outputs, bias=bias), self.weight[:, :, 0, 0], self.bias)


def stacked(*parts: Affine) -> Affine:
    """Several on the same input, their outputs one after the other."""
    return Affine(torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts]))


class FoldedConv(nn.Module):
    """A convolution with bias, and its activation."""

    def __init__(self, affine: Affine, *, stride: int = 1, activation: Activation = linear) -> None:
        super().__init__()
        self.conv = affine.conv(stride)
        self.activation = activation

    def forward(self, features: Tensor) -> Tensor:
        return self.activation(self.conv(features))


def folded(module: nn.Module) -> nn.Module:
    """A copy whose convolutions hold their norms, RepVGG branches and the average pool before them."""
    match module:
        case ConvNorm():
            return FoldedConv(Affine.of(module), stride=module.conv.stride[0], activation=module.activation)
        case RepVgg():
            return FoldedConv(Affine.of(module), activation=functional.silu)
        case nn.Sequential() if isinstance(module[0], nn.AvgPool2d):
            project = Affine.of(module[1])
            return FoldedConv(Affine(project.weight.expand(-1, -1, 2, 2) / 4, project.bias), stride=2)
    result = copy.copy(module)
    result._modules = {name: child and folded(child) for name, child in module._modules.items()}
    return result


def _filled(layer: Layer, weight: Tensor, bias: Tensor) -> Layer:
    with torch.no_grad():
        layer.weight.copy_(weight)
        if layer.bias is not None:
            layer.bias.copy_(bias)
    return layer
