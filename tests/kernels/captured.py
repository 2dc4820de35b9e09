"""The captured case: what decoder layer 0 of an INT8 RT-DETRv2-R18 read, and what another implementation made of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from detrt.kernels.launch import Element
from tests.kernels.offset_cases import Layer, Numbers, OffsetCase, Run, exact, half_ulps, projected
from tests.kernels.poison import Poisoned


def check_captured(folder: Path, device: str, run: Run, output: str) -> dict[str, float]:
    """Largest differences: from the stored outputs (absolute), and from exact arithmetic (in half ulps).

    Raises:
        AssertionError: more than 1e-5 from what is stored (in FP32), or not the exact result rounded.
    """

    def read(name: str, kind: type[np.generic], *shape: int) -> torch.Tensor:
        values = np.fromfile(folder / f"{name}.bin", kind).reshape(shape)
        return torch.from_numpy(values).to(device)

    case = OffsetCase(seed=0, batch=1, queries=300, output=Element[output])
    layers = [
        Layer(
            read(f"int8_{part}_weight", np.int8, columns, 256),
            read(f"{part}_weight_scale", np.float32, columns),
            read(f"{part}_fp32_bias", np.float32, columns),
        )
        for part, columns in (("sp", 192), ("attn", 96))
    ]
    scale = float(read("input_scale", np.float32, 1))
    numbers = Numbers(read("input_int8", np.int8, 300, 256), scale, (layers[0], layers[1]))
    memory = [Poisoned((300, columns), getattr(torch, output), device) for columns in (192, 96)]
    projected(case, numbers, run, (memory[0].tensor, memory[1].tensor))
    furthest, worst = 0.0, 0.0
    for place, reference, part in zip(memory, exact(numbers), ("sp", "attn"), strict=True):
        place.check()
        stored = read(f"output_{part}", np.float32, 300, -1).double()
        furthest = max(furthest, float((place.tensor.double() - stored).abs().max()))
        worst = max(worst, half_ulps(place.tensor, reference))
    assert worst <= 1 + 1e-6, worst
    assert furthest <= 1e-5 or output != "float32", furthest
    return {"from the stored outputs": furthest, "half ulps": worst}
