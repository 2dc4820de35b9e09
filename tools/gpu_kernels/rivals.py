"""The same numbers by other ways, at RT-DETRv2-R18's sizes; each is held to ours before it is timed."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from tests.kernels import attention_cases, offset_cases
from tests.kernels.attention_cases import AttentionCase
from tests.kernels.offset_cases import OffsetCase
from tests.kernels.on_gpu import ByName
from timing import Subjects, sets_for
from torch import Tensor
from torch.nn import functional

from detrt.kernels.compiled import Kernel, cubin_from
from detrt.kernels.launch import Element
from detrt.models.attention import maps_of, sampled_by_grid

RIVALS = Path(__file__).with_name("rivals.cu")
QUERIES, DEPTH, OFFSETS, ATTENTION = 300, 256, 192, 96


class Rival:
    """A kernel of rivals.cu; called with ints, floats and tensors."""

    def __init__(self, function: str) -> None:
        major, minor = torch.cuda.get_device_capability()
        self._kernel = Kernel(cubin_from(RIVALS.read_text(), RIVALS.name, f"{major}.{minor}"), function)

    def __call__(self, grid: tuple[int, int], block: tuple[int, int], *arguments: Tensor | int | float) -> None:
        raw = tuple(map(_argument, arguments))
        self._kernel.launch((*grid, 1), (*block, 1), raw, torch.cuda.current_stream().cuda_stream)


def _argument(value: Tensor | int | float) -> Any:
    if isinstance(value, Tensor):
        return ctypes.c_void_p(value.data_ptr())
    return ctypes.c_int(value) if isinstance(value, int) else ctypes.c_float(value)


class ProjectionRivals:
    """INT8 codes to sampling offsets and attention weights; the weights stay, the codes rotate."""

    title = "offset projection"

    def __init__(self, batch: int) -> None:
        self.rows = batch * QUERIES
        first = offset_cases.numbers_of(OffsetCase(0, batch, QUERIES), "cuda")
        self.layers, self.scale = first.layers, first.scale
        count = sets_for(self.rows * (DEPTH + 4 * (OFFSETS + ATTENTION)))
        self.sets = [torch.randint(-128, 128, first.x.shape, dtype=torch.int8, device="cuda") for _ in range(count)]
        self.outputs = {
            kind: [
                [torch.empty(self.rows, n, dtype=kind, device="cuda") for n in (OFFSETS, ATTENTION)] for _ in self.sets
            ]
            for kind in (torch.float32, torch.float16)
        }
        self.weight = torch.cat([layer.weight for layer in self.layers])
        self.weight_scales = torch.cat([layer.scale for layer in self.layers])
        self.scales = self.weight_scales * self.scale
        self.bias = torch.cat([layer.bias for layer in self.layers])
        self.run = ByName("offset_projection")
        self.origins = Rival("one_thread_an_output")

    def subjects(self, quick: bool) -> Subjects:
        half = [codes.half() for codes in self.sets]
        dequantised = (self.weight.float() * self.scales[:, None]).half()
        subjects: Subjects = {
            "detrt, FP32 out": lambda i: self._ours(i, Element.float32),
            "detrt, FP16 out": lambda i: self._ours(i, Element.float16),
            "cuBLASLt INT8 alone, INT32 out (torch._int_mm)": self._product,
            "torch._int_mm, scale, bias": lambda i: self._product(i) * self.scales + self.bias,
            "cuBLAS FP16 linear on FP16 queries": lambda i: functional.linear(half[i], dequantised, self.bias.half()),
        }
        if not quick:
            subjects["the origin's algorithm, one thread an output"] = self._origins
        return subjects

    def bytes_needed(self) -> dict[str, int]:
        rest = sum(tensor.nbytes for tensor in (self.sets[0], self.weight, self.scales, self.bias))
        return {f"detrt, FP{32 // n} out": rest + self.rows * (OFFSETS + ATTENTION) * 4 // n for n in (1, 2)}

    def _ours(self, i: int, output: Element) -> Tensor:
        first, second = self.outputs[getattr(torch, output.name)][i]
        case = OffsetCase(0, self.rows // QUERIES, QUERIES, output=output)
        numbers = offset_cases.Numbers(self.sets[i], self.scale, self.layers)
        offset_cases.projected(case, numbers, self.run, (first, second))
        return first

    def _product(self, i: int) -> Tensor:
        return torch._int_mm(self.sets[i], self.weight.t())

    def _origins(self, i: int) -> Tensor:
        columns = OFFSETS + ATTENTION
        result = torch.empty(self.rows, columns, device="cuda")
        sizes = (self.rows, columns, DEPTH)
        grid = (-(-columns // 32), -(-self.rows // 32))
        self.origins(
            grid, (32, 32), self.sets[i], self.weight, self.weight_scales, self.bias, self.scale, result, *sizes
        )
        return result


class AttentionRivals:
    """Softmax, sampling and sum over levels of 80x80, 40x40 and 20x20 cells, 8 heads of 32, 4 points a level."""

    def __init__(self, batch: int, element: str) -> None:
        self.title = f"deformable attention, {element}"
        self.element = Element[element]
        self.case = AttentionCase(0, batch, QUERIES, element=self.element, sampling=self.element)
        one = self._drawn(0)
        tensors = (one.value, one.references, one.offsets, one.logits)
        self.sets = [one] + [self._drawn(i) for i in range(1, sets_for(sum(tensor.nbytes for tensor in tensors)))]
        self.outputs = [torch.empty(batch, QUERIES, 8, 32, dtype=one.value.dtype, device="cuda") for _ in self.sets]
        self.run = ByName("deformable_attention")
        self.channels = Rival("one_thread_a_channel")
        self.shapes = torch.tensor(self.case.shapes, dtype=torch.int32, device="cuda")
        self.scale = torch.full((12, 1), 1 / 4, dtype=one.value.dtype, device="cuda")

    def _drawn(self, seed: int) -> attention_cases.Numbers:
        """Boxes of up to half of the image, points about as far as trained models put them."""
        generator = torch.Generator("cuda").manual_seed(seed)
        dtype = getattr(torch, self.element.name)
        batch = self.case.batch

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, device="cuda")

        boxes = torch.rand(batch, QUERIES, 4, generator=generator, device="cuda")
        boxes = torch.cat([boxes[..., :2], 0.02 + 0.48 * boxes[..., 2:]], dim=-1)
        return attention_cases.Numbers(
            normal(batch, self.case.cells, 8, 32).to(dtype),
            boxes.to(dtype),
            (2 * normal(batch, QUERIES, 8, 12, 2)).to(dtype),
            normal(batch, QUERIES, 8, 12).to(dtype),
        )

    def subjects(self, quick: bool) -> Subjects:
        subjects: Subjects = {"detrt": self._ours, "PyTorch, grid_sample": self._by_grid}
        if not quick:
            subjects["transformers' function"] = self._transformers
        if self.element is Element.float16 and not quick:  # one type will do: it takes long
            subjects["PyTorch, grid_sample, torch.compile"] = self._compiled
        if self.element is Element.float32:
            subjects["one thread a channel (Deformable DETR's algorithm)"] = self._by_channel
        return subjects

    def bytes_needed(self) -> dict[str, int]:
        """Each cell of a head that some point takes something of is read once; all else too."""
        numbers = self.sets[0]
        places = self._weights_and_places(0)[1].double()
        cells, image = 0, torch.arange(self.case.batch, device="cuda")[:, None, None, None]
        head = torch.arange(8, device="cuda")[None, None, :, None]
        for level, (height, width) in enumerate(self.case.shapes):
            at = places[..., 4 * level : 4 * level + 4, :]
            x, y = at[..., 0] * width - 0.5, at[..., 1] * height - 0.5
            touched = torch.zeros(self.case.batch, 8, height, width, dtype=torch.bool, device="cuda")
            for column in (x.floor(), x.floor() + 1):
                for row in (y.floor(), y.floor() + 1):
                    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
                    chosen = [part.expand_as(inside)[inside] for part in (image, head, row.long(), column.long())]
                    touched[tuple(chosen)] = True
            cells += int(touched.sum())
        rest = (numbers.references, numbers.offsets, numbers.logits, self.outputs[0])
        return {"detrt": cells * 32 * numbers.value.itemsize + sum(tensor.nbytes for tensor in rest)}

    def _ours(self, i: int) -> Tensor:
        attention_cases.attended(self.case, self.sets[i], self.run, self.outputs[i])
        return self.outputs[i].flatten(2)

    def _weights_and_places(self, i: int) -> tuple[Tensor, Tensor]:
        numbers = self.sets[i]
        return weights_and_places(numbers.references, numbers.offsets, numbers.logits, self.scale)

    def _by_grid(self, i: int) -> Tensor:
        weights, places = self._weights_and_places(i)
        maps = maps_of(self.sets[i].value.flatten(2), 8, self.case.shapes)
        return sampled_by_grid(maps, places, weights, self.case.points)

    @cached_property
    def _compiled_form(self) -> Callable[..., Tensor]:
        shapes, points = self.case.shapes, self.case.points

        def form(value: Tensor, references: Tensor, offsets: Tensor, logits: Tensor, scale: Tensor) -> Tensor:
            weights, places = weights_and_places(references, offsets, logits, scale)
            return sampled_by_grid(maps_of(value.flatten(2), 8, shapes), places, weights, points)

        compiled: Callable[..., Tensor] = torch.compile(form, dynamic=False)
        return compiled

    def _compiled(self, i: int) -> Tensor:
        numbers = self.sets[i]
        return self._compiled_form(numbers.value, numbers.references, numbers.offsets, numbers.logits, self.scale)

    def _transformers(self, i: int) -> Tensor:
        from transformers.models.rt_detr_v2.modeling_rt_detr_v2 import multi_scale_deformable_attention_v2

        weights, places = self._weights_and_places(i)
        result: Tensor = multi_scale_deformable_attention_v2(
            self.sets[i].value, list(self.case.shapes), places, weights, list(self.case.points)
        )
        return result

    def _by_channel(self, i: int) -> Tensor:
        weights, places = self._weights_and_places(i)
        result = torch.empty_like(self.outputs[i]).flatten(2)
        batch = self.case.batch
        blocks = -(-result.numel() // 256)
        sizes = (batch, QUERIES, 8, 32, 3, 4, self.case.cells)
        self.channels(
            (blocks, 1), (256, 1), self.sets[i].value, places.contiguous(), weights, self.shapes, result, *sizes
        )
        return result


def weights_and_places(references: Tensor, offsets: Tensor, logits: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """As RT-DETRv2 has them; `scale` is one over the points of each point's level, (12, 1)."""
    boxes = references[:, :, None, None]
    return logits.softmax(-1), boxes[..., :2] + offsets * (0.5 * scale * boxes[..., 2:])
