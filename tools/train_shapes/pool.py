"""A pool of pictures that processes keep drawing anew, so that training never waits for one."""

from __future__ import annotations

import mmap
import multiprocessing
import os
import time
from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt
from tools.train_shapes.scenes import MOST, Scene, scene

NICE = 5  # drawing gives way to the process that trains


class Pool:
    """Pictures and their targets in memory that all processes see.

    A picture is drawn several times slower than the GPU takes it, so each is taken a few times (and turned another way
    each time) before it is replaced. A reader may meet a picture while it is being replaced; that is rare enough to be
    noise, and needs no lock.

    Attributes:
        pictures: (slots, side, side, 3) uint8.
        boxes: (slots, MOST, 4) float32; cx, cy, w, h in 0..1. Rows without an object hold a box in the middle.
        labels: (slots, MOST) int64, -1 for no object.
    """

    def __init__(self, slots: int, side: int, *, workers: int, seed: Sequence[int]) -> None:
        self.pictures = _shared((slots, side, side, 3), np.uint8)
        self.boxes = _shared((slots, MOST, 4), np.float32)
        self.labels = _shared((slots, MOST), np.int64)
        self._drawn = _shared((workers,), np.int64)
        self._difficulty = _shared((1,), np.float64)
        forking = multiprocessing.get_context("fork")  # the memory is inherited; start before anything uses CUDA
        self._processes = [
            forking.Process(target=self._draw, args=(worker, workers, seed), daemon=True) for worker in range(workers)
        ]

    def start(self, difficulty: float) -> None:
        """Begin to draw, and wait until every slot holds a picture."""
        self.difficulty = difficulty
        for process in self._processes:
            process.start()
        slots, workers = len(self.pictures), len(self._processes)
        while (self._drawn < -(-slots // workers)).any():
            if not all(process.is_alive() for process in self._processes):
                raise RuntimeError("A process that draws has died; its traceback stands above.")
            time.sleep(0.05)

    @property
    def difficulty(self) -> float:
        """What is drawn from now on (see `scene`)."""
        return float(self._difficulty[0])

    @difficulty.setter
    def difficulty(self, value: float) -> None:
        self._difficulty[0] = value

    @property
    def drawn(self) -> int:
        """Pictures drawn so far."""
        return int(self._drawn.sum())

    def put(self, slot: int, drawn: Scene) -> None:
        """Replace a slot's picture by this one, of the pool's side."""
        found, side = len(drawn.labels), self.pictures.shape[1]
        centre, extent = (drawn.boxes[:, :2] + drawn.boxes[:, 2:]) / 2, drawn.boxes[:, 2:] - drawn.boxes[:, :2]
        self.labels[slot] = -1
        self.pictures[slot] = drawn.pixels
        self.boxes[slot] = (0.5, 0.5, 0.2, 0.2)
        self.boxes[slot, :found] = np.concatenate([centre, extent], axis=1) / side
        self.labels[slot, :found] = drawn.labels

    def close(self) -> None:
        """Stop drawing."""
        for process in self._processes:
            process.terminate()
            process.join()

    def _draw(self, worker: int, workers: int, seed: Sequence[int]) -> None:
        os.nice(NICE)
        own = range(worker, len(self.pictures), workers)
        side = self.pictures.shape[1]
        for turn in count():
            slot = own[turn % len(own)]
            drawn = scene(np.random.default_rng([*seed, worker, turn]), difficulty=self.difficulty, side=side)
            self.put(slot, drawn)
            self._drawn[worker] += 1


def _shared(shape: tuple[int, ...], kind: type[np.generic]) -> npt.NDArray[Any]:
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    return np.frombuffer(mmap.mmap(-1, size), kind).reshape(shape)
