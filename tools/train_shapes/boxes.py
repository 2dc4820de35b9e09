"""Overlap of boxes given as cx, cy, w, h."""

from __future__ import annotations

import torch
from torch import Tensor

EPSILON = 1e-7


def iou(one: Tensor, other: Tensor) -> Tensor:
    """Intersection over union, broadcast: (..., 4) and (..., 4) to (...)."""
    return _overlap(one, other)[0]


def generalized_iou(one: Tensor, other: Tensor) -> Tensor:
    """Less the share of the hull that neither covers (arXiv 1902.09630)."""
    shared, union = _overlap(one, other)
    (low, high), (other_low, other_high) = _corners(one), _corners(other)
    hull = (torch.maximum(high, other_high) - torch.minimum(low, other_low)).prod(-1)
    return shared - (hull - union) / (hull + EPSILON)


def _overlap(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """IoU and the union's area."""
    (low, high), (other_low, other_high) = _corners(one), _corners(other)
    common = (torch.minimum(high, other_high) - torch.maximum(low, other_low)).clamp(min=0).prod(-1)
    union = one[..., 2:].prod(-1) + other[..., 2:].prod(-1) - common
    return common / (union + EPSILON), union


def _corners(boxes: Tensor) -> tuple[Tensor, Tensor]:
    centre, extent = torch.split(boxes, 2, dim=-1)
    return centre - extent / 2, centre + extent / 2
