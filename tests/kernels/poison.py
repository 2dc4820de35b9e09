"""Memory for a kernel's results that tells what was not written, and what was written beside it."""

from __future__ import annotations

import torch
from torch import Tensor

POISON = 0xFF  # of which every floating-point number is not a number
_MARGIN = 256  # bytes: keeps the alignment


class Poisoned:
    """A tensor, and margins around it, full of poison."""

    def __init__(self, shape: tuple[int, ...], dtype: torch.dtype, device: str) -> None:
        size = torch.Size(shape).numel() * dtype.itemsize
        self._bytes = torch.full((size + 2 * _MARGIN,), POISON, dtype=torch.uint8, device=device)
        self.tensor: Tensor = self._bytes[_MARGIN : _MARGIN + size].view(dtype).view(shape)

    def check(self) -> None:
        """Fail if the margins have been written to, or something of the tensor has not."""
        assert bool((self._bytes[:_MARGIN] == POISON).all()), "written before the start"
        assert bool((self._bytes[-_MARGIN:] == POISON).all()), "written beyond the end"
        assert not bool(self.tensor.isnan().any()), "not written, or not a number"
