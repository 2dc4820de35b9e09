"""Problems for deformable_attention.cu, and what it must make of them; on a CPU and on a GPU the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor
from torch.nn import functional

from detrt.kernels.deformable_attention import DeformableAttention, launch_of, set_levels
from detrt.kernels.launch import Element, Launch
from tests.kernels import noise
from tests.kernels.poison import Poisoned
from tests.kernels.sizes import batch_and_queries

Run = Callable[[Launch, DeformableAttention], None]
_HALF_ULP = {torch.float32: 0.0, torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8}


@dataclass(frozen=True)
class AttentionCase:
    """Sizes and types; `seed` gives the numbers."""

    seed: int
    batch: int
    queries: int
    heads: int = 8
    head_dim: int = 32
    shapes: tuple[tuple[int, int], ...] = ((80, 80), (40, 40), (20, 20))
    points: tuple[int, ...] = (4, 4, 4)
    reference_size: int = 4
    discrete: bool = False
    element: Element = Element.float32
    sampling: Element = Element.float32

    @property
    def cells(self) -> int:
        return sum(map(prod, self.shapes))


def attention_cases(count: int) -> Iterator[AttentionCase]:
    """Always the same: batches 1 to 33, queries 1 to 1000, levels of any size, all types and forms."""
    for seed in range(count):
        draw = random.Random(seed)
        batch, queries = batch_and_queries(seed, draw)
        levels = draw.choice([1, 2, 3, 3, 3, 4, 8])
        side = 2 + 40 // levels * draw.random() if batch > 8 else 80
        shapes = tuple((round(side ** draw.random()), round(side ** draw.random())) for _ in range(levels))
        discrete = draw.random() < 0.25
        counts = [1, 2, 4, 8] if discrete else [1, 3, 4, 4, 4, 6, 8]
        points = tuple(draw.choice(counts) for _ in shapes)
        element = draw.choice(list(Element)[:3])
        yield AttentionCase(
            seed,
            batch,
            queries,
            draw.choice([1, 2, 3, 8, 8]),
            draw.choice([1, 4, 6, 8, 12, 16, 24, 32, 32, 32, 64, 72]),
            shapes,
            points,
            4 if discrete else draw.choice([2, 4, 4, 4]),
            discrete,
            element,
            draw.choice([element, Element.float32]),
        )


@dataclass(frozen=True)
class Numbers:
    """What the kernel reads; see deformable_attention.h for the shapes."""

    value: Tensor
    references: Tensor
    offsets: Tensor
    logits: Tensor


def numbers_of(case: AttentionCase, device: str) -> Numbers:
    """The case's numbers: places on the maps and far beyond them.

    In the discrete form all places are of few bits, so that they are exact in any arithmetic: many lie on a border
    between two cells, where the least error would read the wrong one.
    """
    total = sum(case.points)

    def drawn(place: int, low: float, high: float, *shape: int) -> Tensor:
        made = noise.uniform(shape, 10 * case.seed + place, device, low, high)
        dtype = getattr(torch, (case.sampling if place else case.element).name)
        return ((16 * made).round() / 16 if case.discrete and place else made).to(dtype)

    per_head = (case.batch, case.queries, case.heads, total)
    boxes = [drawn(1, -0.2, 1.2, case.batch, case.queries, 2)]
    if case.reference_size == 4:
        boxes.append(drawn(2, 0, 1.5, case.batch, case.queries, 2))
    reach = 4.0 if case.reference_size == 4 else 0.3 * max(map(max, case.shapes))
    return Numbers(
        drawn(0, -2, 2, case.batch, case.cells, case.heads, case.head_dim),
        torch.cat(boxes, dim=-1).contiguous(),
        drawn(3, -reach, reach, *per_head, 2),
        drawn(4, -6, 6, *per_head),
    )


def attended(case: AttentionCase, numbers: Numbers, run: Run, output: Tensor) -> None:
    """Have the kernel do it."""
    problem = DeformableAttention(
        value=numbers.value.data_ptr(),
        references=numbers.references.data_ptr(),
        offsets=numbers.offsets.data_ptr(),
        logits=numbers.logits.data_ptr(),
        output=output.data_ptr(),
        batch=case.batch,
        queries=case.queries,
        heads=case.heads,
        head_dim=case.head_dim,
        reference_size=case.reference_size,
        offset_scale=0.5,
        discrete=case.discrete,
        element=case.element,
        sampling_element=case.sampling,
    )
    set_levels(problem, case.shapes, case.points)
    run(launch_of(problem), problem)


def reference(case: AttentionCase, numbers: Numbers) -> Tensor:
    """The result in float64, by grid_sample; the discrete form by indexing."""
    value, references = numbers.value.double(), numbers.references.double()
    weights = numbers.logits.double().softmax(-1)
    offsets = numbers.offsets.double()
    result = value.new_zeros(case.batch, case.queries, case.heads, case.head_dim)
    first_cell = first_point = 0
    for (height, width), points in zip(case.shapes, case.points, strict=True):
        own = slice(first_point, first_point + points)
        centre = references[:, :, None, None, :2]
        size = torch.tensor([width, height], dtype=torch.float64, device=value.device)
        unit = 0.5 / max(points, 1) * references[:, :, None, None, 2:] if case.reference_size == 4 else 1 / size
        places = (centre + offsets[..., own, :] * unit).transpose(1, 2).flatten(0, 1)  # (N * heads, Q, points, 2)
        level = value[:, first_cell : first_cell + height * width]
        maps = level.permute(0, 2, 3, 1).reshape(-1, case.head_dim, height, width)
        if points:
            sample = _nearest if case.discrete else _bilinear
            samples = sample(maps, places).view(case.batch, case.heads, case.head_dim, case.queries, points)
            result += torch.einsum("nhdqp,nqhp->nqhd", samples, weights[..., own])
        first_cell += height * width
        first_point += points
    return result


def _bilinear(maps: Tensor, places: Tensor) -> Tensor:
    return functional.grid_sample(maps, 2 * places - 1, mode="bilinear", padding_mode="zeros", align_corners=False)


def _nearest(maps: Tensor, places: Tensor) -> Tensor:
    height, width = maps.shape[2:]
    column = (places[..., 0] * width + 0.5).floor().clip(0, width - 1).long()
    row = (places[..., 1] * height + 0.5).floor().clip(0, height - 1).long()
    which = torch.arange(len(maps), device=maps.device)[:, None, None]
    return maps[which, :, row, column].permute(0, 3, 1, 2)


def check_attention_case(case: AttentionCase, device: str, run: Run) -> float:
    """Largest error of a case, of what is allowed.

    Raises:
        AssertionError: it is larger.
    """
    numbers = numbers_of(case, device)
    memory = Poisoned((case.batch, case.queries, case.heads, case.head_dim), getattr(torch, case.element.name), device)
    attended(case, numbers, run, memory.tensor)
    memory.check()
    return check_attention(case, numbers, memory.tensor)


def check_attention(case: AttentionCase, numbers: Numbers, found: Tensor) -> float:
    """Largest error of a result, of what is allowed.

    With v the largest of the values and u = 2^-24, allowed is what FP32 must be allowed, and the last rounding:

    - sums of p products of weights that add up to 1, each weight an exponential of 4 u, scaled anew and divided by
      their sum, which is as wrong: 2 (16 + p) u v;
    - of places, which count in maps and lie around 1, an ulp of 1: as many cells as the map is long, along two axes,
      with 2 v from a cell to the next. Discrete places are exact (see `numbers_of`), so that the cell is the same.

    Raises:
        AssertionError: it is larger.
    """
    expected = reference(case, numbers)
    largest = float(numbers.value.abs().max())
    of_sums = 2.0**-23 * (16 + sum(case.points))
    of_places = 0.0 if case.discrete else 2.0**-21 * max(map(max, case.shapes))
    allowed = largest * (of_sums + of_places) + expected.abs() * _HALF_ULP[found.dtype]
    worst = float(((found.double() - expected).abs() / allowed).max())
    assert worst <= 1, f"{worst} of what is allowed: {case}"
    return worst
