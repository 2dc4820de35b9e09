"""From a float ONNX model and photos to the quantised model that ships, and what can be said of it."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import onnx

from detrt.contract import ModelContract
from detrt.errors import ModelError, UsageError
from detrt.evaluate import CocoDataset
from detrt.files import refuse_output
from detrt.graph import onnx_file
from detrt.graph.fp8_sums import room_for_sums
from detrt.graph.precision import with_precision
from detrt.graph.ranges import measure_ranges
from detrt.progress import Progress, silent
from detrt.quantize.average_precision import measured_ap
from detrt.quantize.engines import engine_verdict
from detrt.quantize.formats import Precision
from detrt.quantize.modelopt import placed_by_modelopt, quantized_by_modelopt
from detrt.quantize.price import AP_PER_POINT, allowed_points, ap_drop, revised_rate
from detrt.quantize.quantizer import Quantizer, Ranges, Settings
from detrt.quantize.recipe import Recipe
from detrt.quantize.report import Judged, Report, Rest, left_out
from detrt.quantize.search import Effort, Found, search
from detrt.quantize.sensitivity import measure_parts, parts_by_group, parts_by_product
from detrt.quantize.torch_ranges import ranges_in_torch
from detrt.quantize.tuning import tune_ranges
from detrt.quantize.workbench import Workbench

ATTEMPTS = 3
"""Searches at most, where labels say that the result has lost more than it may."""

FINEST_SEARCH = 3e12
"""Multiply-accumulates of all runs of a sensitivity by product, up to which the search measures products rather than
groups. Some minutes on two cores. A number of the graph and not of the clock, so that every machine searches alike."""


def quantize(
    bench: Workbench,
    output: Path,
    *,
    precision: Precision,
    recipe: Recipe,
    target_drop: float | None = None,
    budget: float = math.inf,
    rest: Rest = "fp32",
    labelled: CocoDataset | None = None,
    judge_engine: bool = True,
    checkpoint: Path | None = None,
    progress: Progress = silent,
) -> Report:
    """Quantise, write the model whole, and judge it.

    Args:
        bench: the model and its photos.
        output: the ONNX file to write; the report goes beside it as `.json`.
        precision: the narrow type.
        recipe: how.
        target_drop: AP that may be lost at most, on other photos too. The recipe's `only` and `skip` are then left to
            the search, which looks at calibration photos alone and holds back what these leave uncertain.
        budget: seconds after which the search tries no more.
        rest: type of everything that is not quantised.
        labelled: photos with boxes to judge the result on. A search does not see them, but where the result has lost
            more than it may, it is made again with the price of agreement that this suggests, twice at most.
        judge_engine: build it as an engine and time that beside FP16's, where a GPU is.
        checkpoint: what the model was exported from, to have its ranges calibrated in PyTorch by ModelOpt's quantisers.
        progress: told of every stage.

    Raises:
        UsageError: a search, which has ranges of its own, with a checkpoint, or with a recipe that ModelOpt does by
            itself; `output` is the float model or no `.onnx`.
        ModelError: the result finds nothing, or NaN.
        DetrtError: see `open_workbench`; or activations are not finite, or ModelOpt is missing or fails.
    """
    started = time.monotonic()
    if checkpoint:
        if target_drop is not None:
            raise UsageError(
                "A search chooses ranges of its own, not those calibrated in PyTorch.",
                "Leave out --calibrate-in torch, or --target-drop.",
            )
        recipe = _for_torch(recipe)
    if target_drop is not None and recipe.placement == "modelopt" and not recipe.mend:
        raise UsageError(
            f"ModelOpt does all of the recipe {recipe.name}, so there is nothing to search with it.",
            "Leave out --target-drop, or take a recipe of detrt's own, such as safe.",
        )
    refuse_output(output, inputs=[bench.source], suffixes=[".onnx"])
    if labelled:
        labelled.categories_of(bench.contract)  # where they do not fit, nothing is searched first
    contract = bench.contract.replaced(calibration=f"{precision}, recipe {recipe.name}, {bench.photos.choice}")
    rate = AP_PER_POINT
    best: _Made | None = None
    for attempt in range(1, ATTEMPTS + 1):
        found: Found | None = None
        if target_drop is None:
            model, keys = _by_recipe(bench, recipe, precision, checkpoint, progress)
        else:
            quantizer, found = _searched(
                bench, recipe.settings(precision), target_drop, rate, started + budget, progress
            )
            keys = found.keys
            model = quantizer.model(keys) if keys else bench.graph.model
        if rest == "fp16":
            model = _halved(model, bench, progress)
        model = onnx_file.with_contract(model, contract)
        onnx_file.save(model, output)
        judged = _judged(bench, output, model, contract, labelled, progress)
        made, drop = _Made(model, keys, found, judged, rate), judged.ap_drop
        best = made if best is None or drop is None or drop < (best.judged.ap_drop or 0.0) else best
        late = attempt == ATTEMPTS or time.monotonic() - started > budget
        if found is None or not found.keys or drop is None or target_drop is None or drop <= target_drop or late:
            break
        rate = revised_rate(rate, drop, judged.loss.points, bench.doubt(Effort().whole_photos))
    assert best is not None
    if best is not made:
        onnx_file.save(best.model, output)
    keys, found, judged = best.keys, best.found, best.judged
    report = Report(
        output=str(output),
        precision=precision,
        recipe=recipe.name,
        rest=rest,
        photos=bench.photos.choice,
        macs_share=sum(product.macs for product in bench.products if product.key in keys) / max(bench.macs, 1),
        left_out=left_out(bench, keys, recipe, found),
        parts=found.parts if found else (),
        target_drop=target_drop,
        complete=found.complete if found else True,
        judged=judged,
        drop_bound=_drop_bound(bench, judged, best.rate) if found else None,
        engine=engine_verdict(output, bench.source, labelled, rest_is_fp16=rest == "fp16", progress=progress)
        if judge_engine
        else "No engine was asked for.",
        seconds=time.monotonic() - started,
    )
    report.save(output.with_suffix(".json"))
    return report


@dataclass(frozen=True)
class _Made:
    """One model of those that are made until labels are content, and the price of agreement that it was made at."""

    model: onnx.ModelProto
    keys: frozenset[str]
    found: Found | None
    judged: Judged
    rate: float


def _drop_bound(bench: Workbench, judged: Judged, rate: float) -> float:
    return ap_drop(judged.loss.points, bench.doubt(Effort().whole_photos), rate)


def _by_recipe(
    bench: Workbench, recipe: Recipe, precision: Precision, checkpoint: Path | None, progress: Progress
) -> tuple[onnx.ModelProto, frozenset[str]]:
    """The quantised model and what is quantised in it, as the recipe says."""
    if recipe.placement == "modelopt" and not recipe.mend:
        calibration = recipe.modelopt_calibration
        model = quantized_by_modelopt(bench.float_model, bench.contract, bench.photos, precision, calibration)
        return room_for_sums(model).model, placed_by_modelopt(model, bench.products)
    settings, keys = recipe.settings(precision), _placed(bench, recipe, precision)
    given = _in_torch(bench, checkpoint, keys, settings, progress) if checkpoint else None
    quantizer = bench.quantizer(settings, progress, given=given)
    return quantizer.model(keys) if keys else bench.graph.model, keys


def _searched(
    bench: Workbench, settings: Settings, target_drop: float, rate: float, ends: float, progress: Progress
) -> tuple[Quantizer, Found]:
    """Measure each part alone, mend its ranges where that helps, and find what to leave out."""
    effort, plain = Effort(), bench.quantizer(settings, progress)
    products = [product for product in plain.products if not product.depthwise]
    fine = bench.macs * effort.part_photos * len(products) <= FINEST_SEARCH
    parts = (parts_by_product if fine else parts_by_group)(products, bench.groups)
    alone = measure_parts(bench.losses(plain), parts, effort.part_photos, progress=progress)
    choices, alone = tune_ranges(
        alone,
        products,
        settings,
        lambda other: bench.losses(bench.quantizer(other)),
        effort.part_photos,
        progress=progress,
    )
    quantizer = bench.quantizer(settings, choices=choices)
    allowed = allowed_points(target_drop, bench.doubt(effort.whole_photos, progress), rate)
    effort = replace(effort, seconds=ends - time.monotonic())
    return quantizer, search(bench.losses(quantizer), alone, allowed, effort, progress=progress)


def _for_torch(recipe: Recipe) -> Recipe:
    """Where ModelOpt's ONNX part would do it all: what its PyTorch part does by itself, every layer with a weight."""
    if recipe.placement == "detrt" or recipe.mend:
        return recipe
    ranges: Ranges = "entropy" if recipe.modelopt_calibration == "entropy" else "max"
    return replace(recipe, placement="detrt", ranges=ranges, only=("kind:weighted",))


def _in_torch(
    bench: Workbench, checkpoint: Path, keys: frozenset[str], settings: Settings, progress: Progress
) -> dict[str, float]:
    chosen = [product for product in bench.products if product.key in keys]
    return ranges_in_torch(checkpoint, chosen, bench.photos, settings, progress=progress)


def _placed(bench: Workbench, recipe: Recipe, precision: Precision) -> frozenset[str]:
    chosen = recipe.selected(bench.products, bench.groups)
    if recipe.placement == "modelopt":
        few = islice(bench.photos, 2)  # only the placement is wanted, and that does not depend on the photos
        placed = quantized_by_modelopt(bench.float_model, bench.contract, few, precision, "max")
        chosen &= placed_by_modelopt(placed, bench.products)
    return chosen


def _halved(model: onnx.ModelProto, bench: Workbench, progress: Progress) -> onnx.ModelProto:
    """Everything between the quantisers in FP16, but for what photos show would not survive it."""
    feeds = [photo.feeds for photo in bench.photos.first(16)]
    return with_precision(model, "fp16", ranges=measure_ranges(model, feeds, progress=progress)).model


def _judged(
    bench: Workbench,
    output: Path,
    model: onnx.ModelProto,
    contract: ModelContract,
    labelled: CocoDataset | None,
    progress: Progress,
) -> Judged:
    stage = "Comparing with the float model"
    loss = bench.reference.loss(model, Effort().whole_photos, progress, stage, sure_up_to=100.0)
    if loss.points == 100.0:
        raise ModelError(
            f"{output} finds nothing of what the float model finds on the calibration photos, or gives NaN.",
            "Leave parts float: --target-drop, or a recipe's skip; `detrt compare --layers` shows where it goes wrong.",
        )
    if labelled is None:
        return Judged(loss)
    ap = measured_ap(output, contract, labelled, progress=progress, stage="AP of the quantised model")
    float_ap = measured_ap(bench.source, contract, labelled, progress=progress, stage="AP of the float model")
    return Judged(loss, ap, float_ap)
