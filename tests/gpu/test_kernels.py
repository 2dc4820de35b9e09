"""The plugins' kernels on a GPU: the cases of tests/kernels, of full size, and replayed from CUDA graphs.

A hundred cases; `python tools/gpu_kernels` runs a thousand, compute-sanitizer and the C interface.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.kernels.attention_cases import AttentionCase, attention_cases, check_attention_case
from tests.kernels.captured import check_captured
from tests.kernels.offset_cases import OffsetCase, check_offset_case, offset_cases
from tests.kernels.on_gpu import ByName
from tests.kernels.replay import CASES, check_attention_replay, check_offset_replay


@pytest.fixture(scope="module", autouse=True)
def pytorch() -> None:
    """Holds the inputs and makes the references."""
    if not torch.cuda.is_available():
        pytest.skip("PyTorch has no GPU here")


@pytest.fixture(scope="module")
def project() -> ByName:
    return ByName("offset_projection")


@pytest.fixture(scope="module")
def attend() -> ByName:
    return ByName("deformable_attention")


def test_projection(project: ByName) -> None:
    for case in [OffsetCase(0, 33, 1000), *offset_cases(100)]:
        check_offset_case(case, "cuda", project)


def test_attention(attend: ByName) -> None:
    for case in [AttentionCase(0, 16, 300), *attention_cases(100)]:
        check_attention_case(case, "cuda", attend)


@pytest.mark.parametrize("output", ["float32", "float16"])
def test_the_captured_case(project: ByName, shared: Path, output: str) -> None:
    check_captured(shared / "plugin_case", "cuda", project, output)


@pytest.mark.parametrize(("batch", "queries"), CASES)
def test_graphs_give_what_launches_give(project: ByName, attend: ByName, batch: int, queries: int) -> None:
    check_offset_replay(project, batch, queries)
    check_attention_replay(attend, batch, queries)
