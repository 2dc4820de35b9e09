"""Weights and pictures that anyone can make again: the recipe of the golden case (../shared/README.md)."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from detrt.models.rtdetrv2 import RTDETRv2
from detrt.models.variants import R18VD, Variant

CONSTRUCTED = ("num_batches_tracked", "anchors", "valid_mask", "num_points_scale")

SMALL = replace(R18VD, name="small", stem=16, encoder_width=64, encoder_feedforward=64, hidden=64, feedforward=64,
                layers=2, evaluated=2, queries=50, classes=7, size=(128, 160))  # fmt: skip
"""RT-DETRv2-R18 with a quarter of the width and two decoder layers: milliseconds on a CPU."""


def seeded_model(variant: Variant) -> RTDETRv2:
    """A model whose every weight is drawn from its own name."""
    model = RTDETRv2(variant)
    model.load_state_dict(seeded_state({name: tuple(v.shape) for name, v in model.state_dict().items()}), strict=False)
    return model


def seeded_state(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """The weights by name; those that a model constructs are left out."""
    return {name: _drawn(name, tuple(shape)) for name, shape in shapes.items() if not name.endswith(CONSTRUCTED)}


def golden_shapes(shared: Path) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the official RT-DETRv2-R18's state dict."""
    shapes = json.loads((shared / "golden" / "rtdetrv2_r18vd.keys.json").read_text())
    return {name: tuple(shape) for name, shape in shapes.items()}


def golden_picture(size: tuple[int, int]) -> Tensor:
    """(1, 3, height, width) float32 in 0..1."""
    y, x = (axis / side for axis, side in zip(np.mgrid[: size[0], : size[1]].astype(np.float32), size, strict=True))
    planes = [0.5 + 0.5 * np.sin(9 * x + 5 * y), 0.5 + 0.5 * np.cos(42 * x * y), np.clip(1.2 * x - 0.3 * y, 0, 1)]
    return torch.from_numpy(np.stack(planes)[None].astype(np.float32))


def pictures(size: tuple[int, int], count: int) -> Tensor:
    """Several that differ."""
    one = golden_picture(size)
    return torch.cat([one.roll(37 * index, dims=3) if index % 2 else one.flip(2) for index in range(count)])


def _drawn(name: str, shape: tuple[int, ...]) -> Tensor:
    n = np.random.default_rng(zlib.crc32(name.encode())).standard_normal(shape)
    if name.endswith("running_var"):
        value = 0.5 + np.abs(n)
    elif name.endswith("running_mean"):
        value = 0.1 * n
    elif name.endswith((".bias", "in_proj_bias")):
        value = 0.05 * n
    elif len(shape) == 1:
        value = 1 + 0.1 * n
    else:
        value = n / np.sqrt(np.prod(shape[1:]))
    return torch.from_numpy(value.astype(np.float32))
