"""DeformableAttention: one decoder layer's sampling, from offsets and logits to weighted samples."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, ClassVar

import numpy as np

from detrt.errors import ModelError
from detrt.kernels.deformable_attention import FILE, DeformableAttention, launch_of, set_levels
from detrt.kernels.launch import Element
from detrt.plugins.operation import Array, Fields, Operation, View, field, launch

_OFFSET_SCALE = 0.5  # what RT-DETRv2, D-FINE and DEIM multiply half the box by


class AttentionOperation(Operation):
    """Value (N, cells, C), references (N, Q, 4 or 2), offsets and logits, to (N, Q, C).

    Offsets are (N, Q, heads * points * 2) and logits (N, Q, heads * points); their last axis may be split further.
    The fields are the attributes of `detrt::DeformableAttention`: graph/deformable_attention.py.
    """

    name: ClassVar = "DeformableAttention"
    input_count: ClassVar = 4
    output_count: ClassVar = 1
    field_types: ClassVar = {
        "heads": np.int32,
        "shapes": np.int32,
        "points": np.int32,
        "offset_scale": np.float32,
        "discrete": np.int32,
    }

    def __init__(
        self,
        heads: int,
        shapes: Sequence[int],
        points: Sequence[int],
        offset_scale: float = _OFFSET_SCALE,
        discrete: int = 0,
    ) -> None:
        if heads < 1 or not points or len(shapes) != 2 * len(points) or min(shapes) < 1 or min(points) < 0:
            raise ModelError(
                f"Attention of {heads} heads over maps with the sides {list(shapes)} and {list(points)} points.",
                "Give each level a height, a width and a number of points.",
            )
        self.heads, self.points = heads, list(points)
        self.levels = list(zip(shapes[::2], shapes[1::2], strict=True))
        self.fields: Fields = {
            "heads": np.array([heads], np.int32),
            "shapes": np.array(shapes, np.int32),
            "points": np.array(points, np.int32),
            "offset_scale": np.array([offset_scale], np.float32),
            "discrete": np.array([discrete], np.int32),
        }
        self.offset_scale, self.discrete = offset_scale, discrete

    @classmethod
    def from_fields(cls, fields: Fields) -> AttentionOperation:
        """See `Operation.from_fields`."""
        scale = field(fields, "offset_scale")[0] if "offset_scale" in fields else _OFFSET_SCALE
        discrete = field(fields, "discrete")[0] if "discrete" in fields else 0
        return cls(int(field(fields, "heads")[0]), _ints(field(fields, "shapes")), _ints(field(fields, "points")),
                   float(scale), int(discrete))  # fmt: skip

    def output_shapes(self, inputs: Sequence[Sequence[Any]]) -> list[list[Any]]:
        """See `Operation.output_shapes`."""
        value, references = inputs[:2]
        return [[value[0], references[1], value[2]]]

    def output_elements(self, inputs: Sequence[Element]) -> list[Element]:
        """See `Operation.output_elements`."""
        return [inputs[0]]

    def takes(self, elements: Sequence[Element]) -> bool:
        """See `Operation.takes`."""
        *_, last = elements
        match len(elements):
            case 1:
                return last is not Element.int8
            case 2:
                return last in (elements[0], Element.float32)
            case 3 | 4:
                return last is elements[1]
            case _:
                return last is elements[0]

    def prepare(self) -> None:
        """There are no weights."""

    def enqueue(self, inputs: Sequence[View], outputs: Sequence[View], stream: int) -> None:
        """See `Operation.enqueue`."""
        value, references, offsets, logits = inputs
        problem = self.problem([view.shape for view in inputs], value.element, references.element)
        problem.value, problem.references = value.address, references.address
        problem.offsets, problem.logits = offsets.address, logits.address
        problem.output = outputs[0].address
        if problem.batch * problem.queries:
            launch(FILE, launch_of(problem), problem, stream)

    def problem(self, shapes: Sequence[Sequence[int]], element: Element, sampling: Element) -> DeformableAttention:
        """The kernel's struct but for the addresses.

        Raises:
            ModelError: the shapes contradict each other, or the levels.
        """
        value, references, offsets, logits = (tuple(shape) for shape in shapes)
        channels, samples = prod(value[2:]), prod(references[:2]) * self.heads * sum(self.points)
        fits = (
            value[:2] == (references[0], sum(height * width for height, width in self.levels))
            and channels % self.heads == 0
            and prod(references[2:]) in (2, 4)
            and prod(offsets) == 2 * samples
            and prod(logits) == samples
        )
        if not fits:
            raise ModelError(
                f"Attention of {self.heads} heads over the maps {self.levels} with {self.points} points is given "
                f"values {value}, references {references}, offsets {offsets} and logits {logits}.",
                "The shapes must go together: graph/deformable_attention.py says how.",
            )
        problem = DeformableAttention(
            batch=value[0],
            queries=references[1],
            heads=self.heads,
            head_dim=channels // self.heads,
            reference_size=prod(references[2:]),
            offset_scale=self.offset_scale,
            discrete=self.discrete,
            element=element,
            sampling_element=sampling,
        )
        set_levels(problem, self.levels, self.points)
        return problem


def _ints(values: Array) -> list[int]:
    return [int(value) for value in values]
