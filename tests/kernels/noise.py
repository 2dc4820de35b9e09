"""Numbers that are the same on every device, from a place and a seed alone."""

from __future__ import annotations

import torch
from torch import Tensor


def uniform(shape: tuple[int, ...], seed: int, device: str, low: float = -1.0, high: float = 1.0) -> Tensor:
    """Multiples of 2^-24 of the way from low to high; float64."""
    return low + (high - low) * (_bits(shape, seed, device) >> 7).double() / (1 << 24)


def codes(shape: tuple[int, ...], seed: int, device: str) -> Tensor:
    """All of int8."""
    return (_bits(shape, seed, device) % 256 - 128).to(torch.int8)


def _bits(shape: tuple[int, ...], seed: int, device: str) -> Tensor:
    """31 bits each, by two rounds of multiplying and folding (after Steele, Lea and Flood's SplitMix)."""
    bits = torch.arange(torch.Size(shape).numel(), dtype=torch.int64, device=device) + (seed << 32)
    for factor, shift in ((-4658895280553007687, 30), (-7723592293110705685, 27)):
        bits = (bits ^ (bits >> shift)) * factor
    return ((bits >> 32) & 0x7FFFFFFF).view(shape)
