"""What quantising one part of a detector costs, part by part: the others stay float."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from detrt.evaluate import CocoDataset
from detrt.graph.products import Product
from detrt.progress import Progress, silent
from detrt.quantize.average_precision import measured_ap
from detrt.quantize.groups import ORDER
from detrt.quantize.measure import Loss, Losses
from detrt.quantize.quantizer import Settings
from detrt.quantize.workbench import Workbench


@dataclass(frozen=True)
class Part:
    """Some products that are quantised together or not at all.

    Attributes:
        name: the group's, or the product's node name.
        group: the group.
        keys: of the products.
        macs: multiply-accumulates of them all.
    """

    name: str
    group: str
    keys: frozenset[str]
    macs: int


@dataclass(frozen=True)
class PartLoss:
    """What quantising one part alone costs: as a loss of agreement, and in AP where labels were given."""

    part: Part
    loss: Loss
    ap_drop: float | None = None


def sensitivity_of(
    bench: Workbench,
    settings: Settings,
    *,
    each: bool = False,
    photos: int = 64,
    labelled: CocoDataset | None = None,
    progress: Progress = silent,
) -> tuple[PartLoss, ...]:
    """Quantise one part of the detector at a time, and measure.

    Args:
        bench: the model and its photos.
        settings: how to quantise.
        each: every product alone rather than every group.
        photos: calibration photos to compare with the float model on.
        labelled: photos with boxes, to measure AP on as well; that takes a whole evaluation a part.
        progress: told of every part.
    """
    quantizer = bench.quantizer(settings, progress)
    parts = (parts_by_product if each else parts_by_group)(bench.products, bench.groups)
    losses = bench.losses(quantizer)
    found = measure_parts(losses, parts, photos, progress=progress)
    if labelled is None:
        return found
    float_ap = measured_ap(bench.graph.model, bench.contract, labelled)
    rows = []
    for number, one in enumerate(found, start=1):
        drop = float_ap - measured_ap(quantizer.model(one.part.keys), bench.contract, labelled)
        rows.append(replace(one, ap_drop=drop))
        progress("Measuring AP", number, len(found))
    return tuple(rows)


def parts_by_group(products: Sequence[Product], groups: Mapping[str, str]) -> tuple[Part, ...]:
    """One part a group, in the order in which an image meets them."""
    members: dict[str, list[Product]] = {}
    for product in products:
        members.setdefault(groups[product.key], []).append(product)
    return tuple(
        Part(name, name, frozenset(product.key for product in found), sum(product.macs for product in found))
        for name, found in sorted(members.items(), key=lambda item: ORDER.index(item[0]))
    )


def parts_by_product(products: Sequence[Product], groups: Mapping[str, str]) -> tuple[Part, ...]:
    """One part a product, in the graph's order."""
    return tuple(
        Part(product.name, groups[product.key], frozenset([product.key]), product.macs) for product in products
    )


def measure_parts(
    losses: Losses, parts: Sequence[Part], photos: int, *, progress: Progress = silent
) -> tuple[PartLoss, ...]:
    """Quantise each part alone, and measure."""
    losses.reference.truth(photos, progress)
    found = []
    for number, part in enumerate(parts, start=1):
        found.append(PartLoss(part, losses.of(part.keys, photos)))
        progress("Measuring sensitivity", number, len(parts))
    return tuple(found)
