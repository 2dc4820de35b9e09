"""A CUDA graph of a kernel, replayed on other inputs, gives the same bits as a launch on them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from detrt.kernels.launch import Element
from tests.kernels import attention_cases, offset_cases
from tests.kernels.attention_cases import AttentionCase
from tests.kernels.offset_cases import OffsetCase

CASES = ((1, 300), (16, 300), (3, 77))  # batch, queries


def check_offset_replay(run: offset_cases.Run, batch: int, queries: int) -> None:
    """Of the projection."""
    case = OffsetCase(1, batch, queries, output=Element.float16)
    numbers = offset_cases.numbers_of(case, "cuda")
    other = offset_cases.numbers_of(OffsetCase(2, batch, queries), "cuda").x
    first, second = (torch.empty(case.rows, n, dtype=torch.float16, device="cuda") for n in (192, 96))
    _check(lambda: offset_cases.projected(case, numbers, run, (first, second)), [numbers.x], [other], [first, second])


def check_attention_replay(run: attention_cases.Run, batch: int, queries: int) -> None:
    """Of the attention."""
    case, another = (AttentionCase(n, batch, queries, element=Element.float16) for n in (1, 2))
    numbers, other = (attention_cases.numbers_of(each, "cuda") for each in (case, another))
    output = torch.empty(batch, queries, 8, 32, dtype=torch.float16, device="cuda")
    inputs, others = ([each.value, each.references, each.offsets, each.logits] for each in (numbers, other))
    _check(lambda: attention_cases.attended(case, numbers, run, output), inputs, others, [output])


def _check(
    work: Callable[[], None], inputs: Sequence[Tensor], others: Sequence[Tensor], outputs: Sequence[Tensor]
) -> None:
    graph = torch.cuda.CUDAGraph()
    work()  # loads the kernel, which a capture may not
    with torch.cuda.graph(graph):
        work()
    for target, source in zip(inputs, others, strict=True):
        target.copy_(source)
    replayed, launched = _made(graph.replay, outputs), _made(work, outputs)
    for one, other in zip(replayed, launched, strict=True):
        assert not bool(one.isnan().any()), "not written by the graph"
        assert torch.equal(one, other), "a replayed graph gives other numbers than a launch"


def _made(work: Callable[[], None], outputs: Sequence[Tensor]) -> list[Tensor]:
    for output in outputs:
        output.fill_(torch.nan)
    work()
    return [output.clone() for output in outputs]
