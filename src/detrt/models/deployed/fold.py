"""Folding linear steps into one, computed in float64 and rounded once."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from detrt.models.layers import NORM_EPSILON, Activation, ConvNorm, FrozenNorm, RepVgg, linear

Layer = TypeVar("Layer", nn.Conv2d, nn.Linear)


@dataclass(frozen=True)
class Affine:
    """`y = weight x + bias` over channels, in float64: weight (outputs, inputs, kernel, kernel), bias (outputs)."""

    weight: Tensor
    bias: Tensor

    @staticmethod
    def of(layer: nn.Module) -> Affine:
        """Of a linear layer, of a convolution with or without its norm, or of a RepVGG block.

        Raises:
            TypeError: the layer is none of these.
        """
        match layer:
            case nn.Linear() | nn.Conv2d():
                weight, bias = layer.weight.double(), layer.bias
                kernel = weight if weight.ndim == 4 else weight[:, :, None, None]
                return Affine(kernel, kernel.new_zeros(len(kernel)) if bias is None else bias.double())
            case ConvNorm(norm=nn.BatchNorm2d() | FrozenNorm() as norm):
                assert norm.running_mean is not None
                assert norm.running_var is not None
                conv = Affine.of(layer.conv)
                gain = norm.weight.double() / (norm.running_var.double() + NORM_EPSILON).sqrt()
                bias = norm.bias.double() + (conv.bias - norm.running_mean.double()) * gain
                return Affine(conv.weight * gain[:, None, None, None], bias)
            case RepVgg():
                wide, narrow = Affine.of(layer.conv1), Affine.of(layer.conv2)
                return Affine(wide.weight + functional.pad(narrow.weight, (1, 1, 1, 1)), wide.bias + narrow.bias)
        raise TypeError(type(layer).__name__)

    @property
    def matrix(self) -> Tensor:
        """The weight (outputs, inputs) where the kernel is 1."""
        return self.weight[:, :, 0, 0]

    def after(self, first: Affine) -> Affine:
        """The same, of kernel 1, on the result of `first`."""
        weight = torch.einsum("om,mikl->oikl", self.matrix, first.weight)
        return Affine(weight, self.matrix @ first.bias + self.bias)

    def behind(self, shift: Tensor) -> Affine:
        """The same, of kernel 1, for an input that comes with `shift` added to it."""
        return Affine(self.weight, self.bias - self.matrix @ shift.double())

    def scaled(self, factor: float | Tensor) -> Affine:
        """Each output times its factor."""
        factors = torch.as_tensor(factor, dtype=torch.float64).expand_as(self.bias)
        return Affine(self.weight * factors[:, None, None, None], self.bias * factors)

    def plus(self, shift: Tensor) -> Affine:
        """With `shift` added to the output."""
        return Affine(self.weight, self.bias + shift.double())

    def without_bias(self) -> Affine:
        """The product alone."""
        return Affine(self.weight, torch.zeros_like(self.bias))

    def conv(self, stride: int = 1) -> nn.Conv2d:
        """As a convolution. An odd kernel keeps the size, an even one reads only what lies inside."""
        outputs, inputs, kernel, _ = self.weight.shape
        return _filled(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2 if kernel % 2 else 0), self)

    def linear(self) -> nn.Linear:
        """As a linear layer; the kernel must be 1."""
        outputs, inputs = self.weight.shape[:2]
        return _filled(nn.Linear(inputs, outputs), Affine(self.matrix, self.bias))

    def onto(self) -> Onto:
        """As a product that is added onto something else, which must hold the bias."""
        return Onto(self.matrix)


def stacked(*parts: Affine) -> Affine:
    """Several on the same input, their outputs one after the other."""
    return Affine(torch.cat([part.weight for part in parts]), torch.cat([part.bias for part in parts]))


class Onto(nn.Module):
    """`base + rows weight^T`, which ONNX has as one `Gemm`."""

    weight: Tensor

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.register_buffer("weight", matrix.T.float().contiguous())

    def forward(self, base: Tensor, rows: Tensor) -> Tensor:
        return torch.addmm(base, rows, self.weight)


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


def shifted(norm: nn.LayerNorm, shift: Tensor) -> nn.LayerNorm:
    """A copy of the norm that adds `shift` to what it gives."""
    result = copy.deepcopy(norm)
    with torch.no_grad():
        result.bias.add_(shift)
    return result


def _filled(layer: Layer, affine: Affine) -> Layer:
    assert layer.bias is not None
    with torch.no_grad():
        layer.weight.copy_(affine.weight)
        layer.bias.copy_(affine.bias)
    return layer
