"""From the pool to the GPU: batches that are copied while the last one is learnt from, and turned on the GPU."""

from __future__ import annotations

import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tools.train_shapes.forward import Targets
from tools.train_shapes.pool import Pool
from torch import Tensor

AHEAD = 3  # batches that wait


@dataclass
class Batch:
    """In host memory: pictures (N, side, side, 3) uint8, boxes (N, T, 4) float32, labels (N, T) int64."""

    pictures: Tensor
    boxes: Tensor
    labels: Tensor
    taken: torch.cuda.Event | None = None  # when the GPU has read it


class Batches:
    """Random pictures of the pool, again and again, gathered by a thread into memory that the GPU copies from."""

    def __init__(self, pool: Pool, size: int, device: torch.device, seed: Sequence[int]) -> None:
        self._pool = [torch.from_numpy(array) for array in (pool.pictures, pool.boxes, pool.labels)]
        self._rng = np.random.default_rng(seed)
        self._on_gpu = device.type == "cuda"
        self._free: queue.Queue[Batch] = queue.Queue()
        self._full: queue.Queue[Batch] = queue.Queue()
        self._size = size
        for _ in range(AHEAD + 1):
            parts = [torch.empty((size, *part.shape[1:]), dtype=part.dtype) for part in self._pool]
            pictures, boxes, labels = (part.pin_memory() if self._on_gpu else part for part in parts)
            self._free.put(Batch(pictures, boxes, labels))
        threading.Thread(target=self._gather, daemon=True).start()

    def copy_to(self, pictures: Tensor, boxes: Tensor, labels: Tensor) -> None:
        """Copy the next batch to these tensors."""
        batch = self._full.get()
        for target, source in ((pictures, batch.pictures), (boxes, batch.boxes), (labels, batch.labels)):
            target.copy_(source, non_blocking=True)
        if self._on_gpu:
            batch.taken = torch.cuda.Event()  # type: ignore[no-untyped-call]
            batch.taken.record()
        self._free.put(batch)

    def _gather(self) -> None:
        while True:
            batch = self._free.get()
            if batch.taken is not None:
                batch.taken.synchronize()
            index = torch.from_numpy(self._rng.integers(0, len(self._pool[0]), self._size))
            for source, target in zip(self._pool, (batch.pictures, batch.boxes, batch.labels), strict=True):
                torch.index_select(source, 0, index, out=target)
            self._full.put(batch)


def turned(pictures: Tensor, boxes: Tensor, labels: Tensor) -> tuple[Tensor, Targets]:
    """Each picture mirrored left to right, top to bottom and along the diagonal, or not: eight ways of one.

    Args:
        pictures: (N, side, side, 3) uint8.
        boxes: (N, T, 4); cx, cy, w, h in 0..1.
        labels: (N, T).

    Returns:
        images (N, 3, side, side) in 0..1, channels last; targets.
    """
    images = pictures.permute(0, 3, 1, 2).float() / 255
    across, down, diagonal = (torch.rand(3, len(images), device=images.device) < 0.5).unbind()
    images = torch.where(across[:, None, None, None], images.flip(3), images)
    images = torch.where(down[:, None, None, None], images.flip(2), images)
    images = torch.where(diagonal[:, None, None, None], images.transpose(2, 3), images)
    x, y, width, height = boxes.unbind(-1)
    x = torch.where(across[:, None], 1 - x, x)
    y = torch.where(down[:, None], 1 - y, y)
    straight, swapped = torch.stack([x, y, width, height], dim=-1), torch.stack([y, x, height, width], dim=-1)
    boxes = torch.where(diagonal[:, None, None], swapped, straight)
    return images.contiguous(memory_format=torch.channels_last), Targets(labels, boxes)
