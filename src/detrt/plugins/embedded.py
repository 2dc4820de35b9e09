"""Kernels that TensorRT keeps inside an engine: one function each, its sizes and weights written into the source.

TensorRT launches such a kernel itself, with the addresses of the inputs, then whole numbers, then the addresses of the
outputs. So there is a wrapper that fills in the struct which our kernels take; the weights lie in the module.
"""

from __future__ import annotations

from dataclasses import dataclass

from detrt.kernels import deformable_attention, offset_projection
from detrt.kernels.compiled import ptx_from, source_of
from detrt.kernels.launch import Element, Launch
from detrt.plugins.attention import AttentionOperation
from detrt.plugins.offsets import OffsetsOperation
from detrt.plugins.operation import Array

FUNCTION = "detrt_embedded"


@dataclass(frozen=True)
class Embedded:
    """PTX of the function `FUNCTION`, and how it is launched.

    Attributes:
        ptx: the module, as text.
        launch: of 1 row for the projection, of 1 image with `THREADS` queries for attention.
        threads_per_row: threads along x that a query of an image takes, where it is more than a part of one.
    """

    ptx: bytes
    launch: Launch
    threads_per_row: int = 0


def embedded_attention(
    operation: AttentionOperation, channels: int, references: int, element: Element, sampling: Element, capability: str
) -> Embedded:
    """Function of (value, references, offsets, logits, int batch, int queries, output).

    Args:
        operation: its levels, points and heads.
        channels: C of value and output.
        references: numbers of one reference, 4 or 2.
        element: of value and output.
        sampling: of the other inputs.
        capability: compute capability that the PTX is for, and those after it.
    """
    rows, samples = deformable_attention.THREADS, operation.heads * sum(operation.points)
    cells = sum(height * width for height, width in operation.levels)
    shapes = [(1, cells, channels), (1, rows, references), (1, rows, 2 * samples), (1, rows, samples)]
    problem = operation.problem(shapes, element, sampling)
    launch = deformable_attention.launch_of(problem)  # of as many rows as a block has threads: whole blocks
    levels = ", ".join(f"{{{level.height}, {level.width}, {level.points}}}" for level in problem.levels)
    pieces = f"detrt::kWide<detrt::{element.name}>" if launch.function.endswith("_wide") else "1"
    wrapper = f"""
extern "C" __global__ void __launch_bounds__({launch.threads}) {FUNCTION}(
    const void* value, const void* references, const void* offsets, const void* logits, int batch, int queries,
    void* output) {{
    const DetrtDeformableAttention problem = {{value, references, offsets, logits, output, batch, queries,
        {operation.heads}, {problem.head_dim}, {references}, {problem.offset_scale!r}f, {problem.discrete},
        {problem.level_count}, {{{levels}}}, static_cast<DetrtElement>({int(element)}),
        static_cast<DetrtElement>({int(sampling)})}};
    detrt::attention::deformable_attention<detrt::{element.name}, detrt::{sampling.name}, {pieces}>(problem);
}}
"""
    return _embedded(deformable_attention.FILE, wrapper, launch, capability, launch.grid[0])


def embedded_offsets(operation: OffsetsOperation, x: Element, output: Element, capability: str) -> Embedded:
    """Function of (x, int rows, attention, offsets); the weights are in the module.

    Args:
        operation: its weights.
        x: of the input.
        output: of the outputs.
        capability: compute capability that the PTX is for, and those after it.
    """
    problem = offset_projection.OffsetProjection(rows=1, depth=operation.depth, x_element=x, output_element=output)
    problem.attention.columns, problem.offsets.columns = (layer.columns for layer in operation.layers)
    launch = offset_projection.launch_of(problem)
    constants = [
        _constant(f"{kind}_{number}", array)
        for number, layer in enumerate(operation.layers)
        for kind, array in zip(("weight", "scale", "bias"), layer.arrays, strict=True)
    ]
    linears = [
        f"{{weight_{number}, scale_{number}, bias_{number}, {name}, {layer.columns}}}"
        for number, (name, layer) in enumerate(zip(("attention", "offsets"), operation.layers, strict=True))
    ]
    wrapper = f"""
{"".join(constants)}
extern "C" __global__ void __launch_bounds__({launch.threads}) {FUNCTION}(
    const void* x, int rows, void* attention, void* offsets) {{
    const DetrtOffsetProjection problem = {{x, {linears[1]}, {linears[0]}, rows, {operation.depth},
        {operation.scale!r}f, static_cast<DetrtElement>({int(x)}), static_cast<DetrtElement>({int(output)})}};
    detrt::projection::offset_projection<detrt::{x.name}, detrt::{output.name}>(problem);
}}
"""
    return _embedded(offset_projection.FILE, wrapper, launch, capability)


def _embedded(file: str, wrapper: str, launch: Launch, capability: str, threads_per_row: int = 0) -> Embedded:
    body, kernels, _ = source_of(file).partition("\n#define DETRT_KERNEL(")  # the file's own kernels stay out
    assert kernels, file
    return Embedded(ptx_from(body + wrapper, f"{file}_embedded.cu", capability), launch, threads_per_row)


def _constant(name: str, array: Array) -> str:
    """An array of the module; floats by their bits, so that each is the same one."""
    if array.dtype.itemsize == 1:
        numbers, kind = ",".join(map(str, array.tolist())), "signed char"
    else:
        numbers, kind = ",".join(float(value).hex() + "f" for value in array.tolist()), "float"
    return f"__device__ __align__(16) const {kind} {name}[] = {{{numbers}}};\n"
