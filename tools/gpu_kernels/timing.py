"""How long a call takes on the GPU: a CUDA graph of one call for each set of inputs, replayed in turns."""

from __future__ import annotations

import statistics
import traceback
from collections.abc import Callable

import torch
from torch import Tensor

Subjects = dict[str, Callable[[int], Tensor]]  # by name: enqueue the work on the set of that number
ROUNDS, REPLAYS = 9, 6


def sets_for(nbytes: int) -> int:
    """How many sets of so many bytes are more than any L2 cache keeps."""
    return max(3, min(512, -(-200_000_000 // nbytes)))


def timed(subjects: Subjects, sets: int) -> dict[str, float]:
    """Median microseconds a call. A subject that fails is left out, and says why."""
    graphs: dict[str, torch.cuda.CUDAGraph] = {}
    for name, work in subjects.items():
        try:
            graphs[name] = _captured(work, sets)
        except Exception:  # noqa: PERF203 (the others are timed)
            print(f"{name}:")
            traceback.print_exc()
    taken: dict[str, list[float]] = {name: [] for name in graphs}
    for number in range(ROUNDS + 1):
        for name in list(graphs)[number % len(graphs) :] + list(graphs)[: number % len(graphs)]:
            graphs[name].replay()
            for _ in range(REPLAYS):
                start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
                start.record()
                graphs[name].replay()
                end.record()
                end.synchronize()
                if number:  # the first round warms up
                    taken[name].append(start.elapsed_time(end) / sets * 1e3)
    return {name: statistics.median(times) for name, times in taken.items()}


def _captured(work: Callable[[int], Tensor], sets: int) -> torch.cuda.CUDAGraph:
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for number in range(3):
            work(number)
    torch.cuda.current_stream().wait_stream(side)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for number in range(sets):
            work(number)
    return graph
