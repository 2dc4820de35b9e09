"""The offset projection's own source, run on the CPU, makes what exact arithmetic makes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from detrt.errors import ModelError
from detrt.kernels import offset_projection
from detrt.kernels.launch import Element
from detrt.kernels.offset_projection import Linear, OffsetProjection, launch_of
from tests.kernels.emulated import Emulated, emulated
from tests.kernels.offset_cases import Layer, Numbers, OffsetCase, check_offset_case, exact, offset_cases, projected
from tests.kernels.poison import Poisoned

MOST = 2e6  # products of a case that a CPU does soon enough


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Emulated:
    """The kernels, on the CPU."""
    facts = (
        "sizeof(DetrtLinear), sizeof(DetrtOffsetProjection), offsetof(DetrtOffsetProjection, attention), "
        "offsetof(DetrtOffsetProjection, output_element), DETRT_OFFSET_PROJECTION_ROWS, "
        "DETRT_OFFSET_PROJECTION_COLUMNS, DETRT_OFFSET_PROJECTION_THREADS"
    )
    folder = tmp_path_factory.mktemp("offset_projection")
    return emulated("offset_projection", "DetrtOffsetProjection", facts, folder)


def test_the_cases_of_the_gpu_that_a_cpu_can_do(run: Emulated) -> None:
    cases = [
        case for case in offset_cases(1000) if case.rows * case.depth * (case.offsets + case.attention) <= MOST
    ]
    assert len(cases) > 100
    assert {(case.x, case.output) for case in cases} == {(case.x, case.output) for case in offset_cases(1000)}
    for case in cases:
        check_offset_case(case, "cpu", run)
