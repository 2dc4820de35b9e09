"""Deformable attention's own source, run on the CPU, makes what grid_sample and a softmax make in float64."""

from __future__ import annotations

import ctypes
from dataclasses import replace

import pytest
import torch

from detrt.errors import ModelError
from detrt.kernels.deformable_attention import MAX_LEVELS, THREADS, DeformableAttention, Level, launch_of, set_levels
from detrt.kernels.launch import Element
from detrt.models.attention import maps_of, sampled_by_grid
from tests.kernels.attention_cases import (
    AttentionCase,
    attended,
    attention_cases,
    check_attention_case,
    numbers_of,
    reference,
)
from tests.kernels.emulated import Emulated, emulated

MOST = 1e5  # reads of a case that a CPU does soon enough
SMALL = AttentionCase(7, 2, 9, 2, 8, ((5, 7), (3, 4)), (4, 2))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Emulated:
    """The kernels, on the CPU."""
    facts = (
        "sizeof(DetrtLevel), sizeof(DetrtDeformableAttention), offsetof(DetrtDeformableAttention, levels), "
        "offsetof(DetrtDeformableAttention, sampling_element), DETRT_MAX_LEVELS, DETRT_DEFORMABLE_ATTENTION_THREADS"
    )
    folder = tmp_path_factory.mktemp("deformable_attention")
    return emulated("deformable_attention", "DetrtDeformableAttention", facts, folder)


@pytest.mark.usefixtures("one_thread")
def test_the_cases_of_the_gpu_that_a_cpu_can_do(run: Emulated) -> None:
    everything = list(attention_cases(1000))
    cases = [
        case
        for case in everything
        if case.batch * case.queries * case.heads * case.head_dim * sum(case.points) <= MOST
        and case.batch * case.cells * case.heads * case.head_dim <= MOST
    ]
    assert len(cases) > 200
    for field in ("element", "sampling", "discrete", "reference_size", "heads", "head_dim"):
        assert {getattr(case, field) for case in cases} == {getattr(case, field) for case in everything}
    for case in cases:
        check_attention_case(case, "cpu", run)


def test_r18s_shapes(run: Emulated) -> None:
    check_attention_case(AttentionCase(1, 1, 20, element=Element.float16, sampling=Element.float16), "cpu", run)


def test_the_reference_is_what_the_model_does() -> None:
    case = replace(SMALL, shapes=((5, 7), (3, 4)))
    numbers = numbers_of(case, "cpu")
    boxes = numbers.references.double()[:, :, None, None]
    scale = torch.tensor([1 / 4] * 4 + [1 / 2] * 2, dtype=torch.float64)[:, None]
    places = boxes[..., :2] + numbers.offsets.double() * (0.5 * scale * boxes[..., 2:])
    maps = maps_of(numbers.value.double().flatten(2), case.heads, case.shapes)
    models = sampled_by_grid(maps, places, numbers.logits.double().softmax(-1), case.points)
    assert torch.allclose(models, reference(case, numbers).flatten(2), rtol=1e-12, atol=1e-12)


def test_a_level_without_points_is_passed_over(run: Emulated) -> None:
    check_attention_case(replace(SMALL, shapes=((5, 7), (2, 2), (3, 4), (9, 9)), points=(0, 3, 4, 0)), "cpu", run)


def test_logits_of_any_size_neither_overflow_nor_vanish(run: Emulated) -> None:
    numbers = numbers_of(SMALL, "cpu")
    for shift in (1e4, -1e4, 3e38):
        moved = replace(numbers, logits=(numbers.logits.round() + shift).float())
        output = torch.empty(2, 9, 2, 8)
        attended(SMALL, moved, run, output)
        assert torch.allclose(output.double(), reference(SMALL, moved), rtol=1e-4, atol=1e-4)


def test_points_that_are_ruled_out_do_not_count(run: Emulated) -> None:
    """A logit of -infinity, on all but one point of each head."""
    numbers = numbers_of(SMALL, "cpu")
    numbers.logits[..., :4] = -torch.inf
    numbers.logits[..., 5:] = -torch.inf
    output = torch.empty(2, 9, 2, 8)
    attended(SMALL, numbers, run, output)
    assert torch.allclose(output.double(), reference(SMALL, numbers), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("discrete", [False, True])
def test_places_that_are_none_read_nothing_outside(run: Emulated, discrete: bool) -> None:
    """The map lies between pages of poison: what is read there would show, or end the process."""
    case = replace(SMALL, discrete=discrete)
    numbers = numbers_of(case, "cpu")
    around = torch.full((3, *numbers.value.shape), torch.nan)
    around[1] = numbers.value
    wild = torch.tensor([torch.nan, torch.inf, -torch.inf, 3e38, -1e9, 1e9])
    offsets = wild.repeat(numbers.offsets.numel() // 6).view(numbers.offsets.shape)
    output = torch.empty(2, 9, 2, 8)
    attended(case, replace(numbers, value=around[1], offsets=offsets), run, output)
    assert bool(output.isfinite().all())
    assert float(output.abs().max()) <= 2
    if not discrete:
        assert not bool(output.any())


def test_python_knows_the_structs_and_constants_of_the_header(run: Emulated) -> None:
    assert [run.library.fact(number) for number in range(6)] == [
        ctypes.sizeof(Level),
        ctypes.sizeof(DeformableAttention),
        DeformableAttention.levels.offset,
        DeformableAttention.sampling_element.offset,
        MAX_LEVELS,
        THREADS,
    ]


def test_what_no_kernel_does_is_said() -> None:
    problem = DeformableAttention(batch=1, element=Element.float16, sampling_element=Element.bfloat16, head_dim=8)
    with pytest.raises(ModelError, match="No kernel attends to float16 at places in bfloat16"):
        launch_of(problem)
    with pytest.raises(ModelError, match="Attention over 9 levels"):
        set_levels(problem, [(1, 1)] * 9, [1] * 9)
