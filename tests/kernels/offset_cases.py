"""Problems for offset_projection.cu, and what it must make of them; on a CPU and on a GPU the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from detrt.kernels.launch import Element, Launch
from detrt.kernels.offset_projection import Linear, OffsetProjection, launch_of
from tests.kernels import noise
from tests.kernels.poison import Poisoned
from tests.kernels.sizes import batch_and_queries

Run = Callable[[Launch, OffsetProjection], None]
_PARTS = ("offsets", "attention")
_MANTISSA = {torch.float32: 23, torch.float16: 10, torch.bfloat16: 7}
_SMALLEST = {torch.float32: -149, torch.float16: -24, torch.bfloat16: -133}  # exponents of the first number above 0


@dataclass(frozen=True)
class OffsetCase:
    """Sizes and types; `seed` gives the numbers."""

    seed: int
    batch: int
    queries: int
    depth: int = 256
    offsets: int = 192
    attention: int = 96
    x: Element = Element.int8
    output: Element = Element.float32

    @property
    def rows(self) -> int:
        return self.batch * self.queries


def offset_cases(count: int) -> Iterator[OffsetCase]:
    """Always the same: batches 1 to 33, queries 1 to 1000, R18's sizes and odd ones, all types."""
    for seed in range(count):
        draw = random.Random(seed)
        x = draw.choice(list(Element))
        output = draw.choice([Element.float32, x]) if x is not Element.int8 else draw.choice(list(Element)[:3])
        case = OffsetCase(seed, *batch_and_queries(seed, draw), x=x, output=output)
        if draw.random() < 0.6:
            points = draw.choice([1, 3, 5, 8, 24, 36, 41, 100])
            depth = draw.choice([1, 16, 37, 64, 96, 100, 128, 250, 384, 1000, 1024, 2000])
            case = replace(case, depth=depth, offsets=2 * points, attention=points)
        yield case


@dataclass(frozen=True)
class Layer:
    """One of the two; int8 (N, K), float32 (N,), float32 (N,)."""

    weight: Tensor
    scale: Tensor
    bias: Tensor


@dataclass(frozen=True)
class Numbers:
    """What the kernel reads. `x` is (M, K); `scale` is of x, as FP32 has it."""

    x: Tensor
    scale: float
    layers: tuple[Layer, Layer]

    def codes(self) -> Tensor:
        """Of x; float64."""
        if self.x.dtype == torch.int8:
            return self.x.double()
        return (self.x.float() / torch.tensor(self.scale, device=self.x.device)).round().clip(-128, 127).double()


def numbers_of(case: OffsetCase, device: str) -> Numbers:
    """The case's numbers: full range codes, and biases that all but cancel some sums."""
    scale = float(torch.tensor(0.01 + 0.05 * random.Random(case.seed).random()))
    shape = (case.rows, case.depth)
    if case.x is Element.int8:
        x = noise.codes(shape, 10 * case.seed, device)
    else:
        x = noise.uniform(shape, 10 * case.seed, device, -140 * scale, 140 * scale).to(getattr(torch, case.x.name))
    layers = []
    for place, columns in enumerate((case.offsets, case.attention)):
        seed = 10 * case.seed + 3 * place
        weight = noise.codes((columns, case.depth), seed + 1, device)
        scales = noise.uniform((columns,), seed + 2, device, 4e-4, 5e-3).float()
        bias = noise.uniform((columns,), seed + 3, device, -4, 4).float()
        layers.append(Layer(weight, scales, bias))
    return Numbers(x, scale, (layers[0], layers[1]))


def projected(case: OffsetCase, numbers: Numbers, run: Run, outputs: tuple[Tensor, Tensor]) -> None:
    """Have the kernel do it."""
    problem = OffsetProjection(
        x=numbers.x.data_ptr(),
        rows=case.rows,
        depth=case.depth,
        x_scale=numbers.scale,
        x_element=case.x,
        output_element=case.output,
    )
    for part, layer, output in zip(_PARTS, numbers.layers, outputs, strict=True):
        pointers = [tensor.data_ptr() for tensor in (layer.weight, layer.scale, layer.bias, output)]
        setattr(problem, part, Linear(*pointers, len(layer.bias)))
    run(launch_of(problem), problem)


def exact(numbers: Numbers) -> tuple[Tensor, Tensor]:
    """Both results in float64: sums of integers below 2^53 are exact."""
    codes = numbers.codes()
    first, second = (
        (codes @ layer.weight.double().T) * (numbers.scale * layer.scale.double()) + layer.bias.double()
        for layer in numbers.layers
    )
    return first, second


def half_ulps(result: Tensor, reference: Tensor) -> float:
    """The largest error, in halves of the distance between the two numbers of its type around the reference."""
    exponent = torch.frexp(reference).exponent - 1 - _MANTISSA[result.dtype]
    ulp = torch.ldexp(torch.ones_like(reference), exponent.clip(_SMALLEST[result.dtype]))
    return float(((result.double() - reference).abs() / (ulp / 2)).max())


def check_offset_case(case: OffsetCase, device: str, run: Run) -> float:
    """Largest error of a case in half ulps.

    Raises:
        AssertionError: it is not what rounding the exact result once gives.
    """
    numbers = numbers_of(case, device)
    dtype = getattr(torch, case.output.name)
    memory = [Poisoned((case.rows, columns), dtype, device) for columns in (case.offsets, case.attention)]
    projected(case, numbers, run, (memory[0].tensor, memory[1].tensor))
    for place in memory:
        place.check()
    return check_offsets(numbers, [place.tensor for place in memory])


def check_offsets(numbers: Numbers, found: Sequence[Tensor]) -> float:
    """Largest error of both results, in the order of the layers, in half ulps.

    Raises:
        AssertionError: they are not what rounding the exact results once gives.
    """
    worst = max(map(half_ulps, found, exact(numbers)))
    assert worst <= 1 + 1e-6, f"{worst} half ulps: {[tuple(result.shape) for result in found]}"
    return worst
