"""The offset projection's own source, run on the CPU, makes what exact arithmetic makes."""

from __future__ import annotations

import ctypes
from pathlib import Path

import numpy as np
import pytest
import torch

from detrt.errors import ModelError
from detrt.kernels.launch import Element
from detrt.kernels.offset_projection import COLUMNS, ROWS, THREADS, Linear, OffsetProjection, launch_of
from tests.kernels.captured import check_captured
from tests.kernels.emulated import Emulated, emulated
from tests.kernels.offset_cases import (
    Layer,
    Numbers,
    OffsetCase,
    check_offset_case,
    numbers_of,
    offset_cases,
    projected,
)

MOST = 2e5  # products of a case that a CPU does soon enough


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Emulated:
    """The kernels, on the CPU."""
    facts = (
        "sizeof(DetrtLinear), sizeof(DetrtOffsetProjection), offsetof(DetrtOffsetProjection, attention), "
        "offsetof(DetrtOffsetProjection, output_element), DETRT_OFFSET_PROJECTION_ROWS, "
        "DETRT_OFFSET_PROJECTION_COLUMNS, DETRT_OFFSET_PROJECTION_THREADS, DETRT_BFLOAT16, DETRT_INT8"
    )
    folder = tmp_path_factory.mktemp("offset_projection")
    return emulated("offset_projection", "DetrtOffsetProjection", facts, folder)


@pytest.mark.usefixtures("one_thread")
def test_the_cases_of_the_gpu_that_a_cpu_can_do(run: Emulated) -> None:
    everything = list(offset_cases(1000))
    cases = [case for case in everything if case.rows * case.depth * (case.offsets + case.attention) <= MOST]
    assert len(cases) > 200
    assert {(case.x, case.output) for case in cases} == {(case.x, case.output) for case in everything}
    for case in cases:
        check_offset_case(case, "cpu", run)


@pytest.mark.parametrize("output", ["float32", "float16"])
def test_the_captured_case(run: Emulated, shared: Path, output: str) -> None:
    check_captured(shared / "plugin_case", "cpu", run, output)


def test_a_sum_and_a_bias_that_all_but_cancel_keep_what_is_left(run: Emulated) -> None:
    """Where one rounding of the product would be all that is left of the result."""
    numbers = numbers_of(OffsetCase(3, 1, 16), "cpu")
    layers = []
    for layer in numbers.layers:
        sums = numbers.codes()[0] @ layer.weight.double().T
        layers.append(Layer(layer.weight, layer.scale, (-sums * numbers.scale * layer.scale.double()).float()))
    case = OffsetCase(3, 1, 16)
    close = Numbers(numbers.x, numbers.scale, (layers[0], layers[1]))
    outputs = torch.empty(16, 192), torch.empty(16, 96)
    projected(case, close, run, outputs)
    for output, layer in zip(outputs, layers, strict=True):
        sums = close.codes()[0] @ layer.weight.double().T
        exact = sums * (close.scale * layer.scale.double()) + layer.bias.double()
        assert bool((exact.abs() < 1e-6).all())
        assert torch.allclose(output[0].double(), exact, rtol=1e-5, atol=1e-13)


def test_halfway_between_two_halves_the_exact_result_decides(run: Emulated) -> None:
    """1 + 2^-11 is halfway between two FP16; FP32 cannot hold the 2^-30 more or less that say which is nearer."""
    case = OffsetCase(0, 1, 2, depth=16, offsets=8, attention=4, output=Element.float16)
    x = torch.zeros(2, 16, dtype=torch.int8)
    x[0, 0], x[1, 0] = 1, -1
    layers = [
        Layer(torch.ones(n, 16, dtype=torch.int8), torch.full((n,), 2.0**-30), torch.full((n,), 1 + 2.0**-11))
        for n in (8, 4)
    ]
    outputs = torch.empty(2, 8, dtype=torch.float16), torch.empty(2, 4, dtype=torch.float16)
    projected(case, Numbers(x, 1.0, (layers[0], layers[1])), run, outputs)
    for output in outputs:
        assert set(output[0].tolist()) == {1 + 2.0**-10}
        assert set(output[1].tolist()) == {1.0}


def test_infinities_stay_themselves(run: Emulated) -> None:
    numbers = numbers_of(OffsetCase(5, 1, 1), "cpu")
    numbers.layers[0].bias[:2] = torch.tensor([torch.inf, -torch.inf])
    outputs = torch.empty(1, 192), torch.empty(1, 96)
    projected(OffsetCase(5, 1, 1), numbers, run, outputs)
    assert outputs[0][0, :2].tolist() == [np.inf, -np.inf]
    assert bool(outputs[0][0, 2:].isfinite().all())


def test_python_knows_the_structs_and_constants_of_the_header(run: Emulated) -> None:
    assert [run.library.fact(number) for number in range(9)] == [
        ctypes.sizeof(Linear),
        ctypes.sizeof(OffsetProjection),
        OffsetProjection.attention.offset,
        OffsetProjection.output_element.offset,
        ROWS,
        COLUMNS,
        THREADS,
        Element.bfloat16,
        Element.int8,
    ]


@pytest.mark.parametrize(("x", "output"), [("float16", "bfloat16"), ("int8", "int8"), ("float32", "float16")])
def test_what_no_kernel_does_is_said(x: str, output: str) -> None:
    problem = OffsetProjection(rows=1, depth=1, x_element=Element[x], output_element=Element[output])
    with pytest.raises(ModelError, match=f"No kernel projects {x} to {output}"):
        launch_of(problem)
