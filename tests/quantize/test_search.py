"""The search: keeps what the loss allows, resumes, repeats itself, and cannot be led astray by one bad part."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import pytest

from detrt.quantize.measure import Loss, Losses
from detrt.quantize.quantizer import Settings
from detrt.quantize.search import Effort, search
from detrt.quantize.sensitivity import Part, PartLoss, measure_parts, parts_by_group, parts_by_product
from detrt.quantize.tuning import tune_ranges
from detrt.quantize.workbench import Workbench

PARTS = tuple(
    Part(name, "stem", frozenset([name]), macs) for name, macs in zip("abcdef", (9, 9, 9, 5, 1, 1), strict=True)
)
COSTS = {"a": 0.1, "b": 0.2, "c": 6.0, "d": 3.0, "e": 0.5, "f": 0.0}


class _Additive:
    """Losses that add up, in place of measured ones."""

    def __init__(self, error: float = 0.0) -> None:
        self.measured, self.error = 0, error
        self.reference = self

    def truth(self, count: int, progress: object = None) -> None:
        """Nothing to prepare."""

    def of(self, keys: Collection[str], photos: int, *, sure_up_to: float = -1.0) -> Loss:
        self.measured += 1
        points = sum(COSTS[key] for key in keys)
        return Loss(points, points / 1000, self.error if points <= sure_up_to else None)


def _alone(losses: Losses, parts: Sequence[Part]) -> tuple[PartLoss, ...]:
    return measure_parts(losses, parts, 1)


@pytest.mark.parametrize(
    ("allowed", "left_out"), [(20.0, set()), (4.0, {"c"}), (1.0, {"c", "d"}), (0.05, {"a", "b", "c", "d", "e"})]
)
def test_the_costliest_by_what_they_save_stay_float(allowed: float, left_out: set[str]) -> None:
    losses: Any = _Additive()
    found = search(losses, _alone(losses, PARTS), allowed, Effort())
    assert {part.part.name for part in found.left_out} == left_out
    assert found.keys == set(COSTS) - left_out
    assert found.loss <= allowed
    assert found.complete


def test_what_these_photos_leave_uncertain_is_held_back() -> None:
    losses: Any = _Additive(error=0.8)
    found = search(losses, _alone(losses, PARTS), 4.0, Effort())
    assert {part.part.name for part in found.left_out} == {"c", "d"}
    assert found.loss <= 4.0 - 0.8


def test_no_time_ends_the_search_with_a_sound_answer() -> None:
    losses: Any = _Additive()
    found = search(losses, _alone(losses, PARTS), 1.0, Effort(seconds=0))
    assert found.loss <= 1.0
    assert not found.complete


def test_a_real_search_resumes_and_repeats_itself(bench: Workbench, tmp_path: Path) -> None:
    quantizer = bench.quantizer(Settings("int8", compensate=True))
    parts = parts_by_group(bench.products, bench.groups)
    effort = Effort(part_photos=4, whole_photos=8)

    def run(journal: Path) -> tuple[frozenset[str], int]:
        losses = Losses(bench.reference, quantizer, journal)
        alone = measure_parts(losses, parts, effort.part_photos)
        found = search(losses, alone, 15.0, effort)
        return found.keys, losses.measured

    whole, runs = run(tmp_path / "a.jsonl")
    assert runs > len(parts)
    assert run(tmp_path / "b.jsonl") == (whole, runs)
    lines = (tmp_path / "a.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "cut.jsonl").write_text("".join(lines[:5]) + lines[5][:20] + "\n")  # killed while it wrote line six
    assert run(tmp_path / "cut.jsonl") == (whole, runs - 5)
    assert run(tmp_path / "a.jsonl") == (whole, 0)


def test_parts_cover_every_product_once(bench: Workbench) -> None:
    for make in (parts_by_group, parts_by_product):
        keys = [key for part in make(bench.products, bench.groups) for key in part.keys]
        assert sorted(keys) == sorted(product.key for product in bench.products)


def test_other_ranges_are_taken_where_they_help(bench: Workbench, tmp_path: Path) -> None:
    settings = Settings("int8", "percentile", "percentile", 60.0, compensate=True)  # clips far too much
    parts = parts_by_product(bench.products, bench.groups)[:4]

    def losses_of(other: Settings) -> Losses:
        return Losses(bench.reference, bench.quantizer(other), tmp_path / f"{hash(repr(other))}.jsonl")

    before = measure_parts(losses_of(settings), parts, 4)
    choices, after = tune_ranges(before, bench.products, settings, losses_of, 4)
    assert choices
    assert sum(one.loss.change for one in after) < 0.5 * sum(one.loss.change for one in before)
    tensor = next(iter(choices))
    assert bench.quantizer(settings, choices=choices).scale(tensor) > bench.quantizer(settings).scale(tensor)
