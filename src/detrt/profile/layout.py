"""Where each layer stands in the picture: the stages of the detector as columns, each read from top to bottom."""

from __future__ import annotations

from dataclasses import dataclass

from detrt.profile import groups
from detrt.profile.layers import links
from detrt.profile.profile import EngineProfile

_FRONT = {groups.BACKBONE: "backbone", groups.AIFI: "AIFI and CCFF", groups.CCFF: "AIFI and CCFF"}
_SELECTION = "query selection"
_POST = "postprocess"

WIDTH, HEIGHT = 236, 24
"""Of a layer's box, in pixels."""
COLUMN, ROW = 300, 33
TOP = 64
LEGEND = 20 * len(groups.GROUPS)
MARGIN = 28


@dataclass(frozen=True)
class Box:
    """A layer's place: its number, and the corner of its box."""

    layer: int
    x: int
    y: int


@dataclass(frozen=True)
class Column:
    """A stage: its title, and the place of its head."""

    title: str
    x: int
    rows: int


@dataclass(frozen=True)
class Layout:
    """Places of the layers that do anything; what only orders streams is left out, and edges lead through it."""

    columns: tuple[Column, ...]
    boxes: tuple[Box, ...]
    edges: tuple[tuple[int, int], ...]
    legend: tuple[int, int]
    width: int
    height: int


def layout_of(profile: EngineProfile) -> Layout:
    """Place every layer in the order in which it runs, in the column of its stage."""
    stages = _stages(profile)
    titles = list(dict.fromkeys(stage for stage in stages if stage))
    titles.sort(key=_rank)
    counts = dict.fromkeys(titles, 0)
    boxes = []
    for number, stage in enumerate(stages):
        if stage:
            boxes.append(Box(number, MARGIN + titles.index(stage) * COLUMN, TOP + counts[stage] * ROW))
            counts[stage] += 1
    columns = tuple(Column(title, MARGIN + at * COLUMN, counts[title]) for at, title in enumerate(titles))
    bottom = columns[-1].rows if columns else 0
    legend = (columns[-1].x if columns else MARGIN, TOP + bottom * ROW + MARGIN)
    height = max(TOP + max(counts.values(), default=0) * ROW, legend[1] + LEGEND) + MARGIN
    shown = {box.layer for box in boxes}
    edges = tuple((maker, reader) for maker, reader in links(profile.layers) if maker in shown and reader in shown)
    width = 2 * MARGIN + max(1, len(titles)) * COLUMN - (COLUMN - WIDTH)
    return Layout(columns, tuple(boxes), edges, legend, width, height)


def _stages(profile: EngineProfile) -> list[str]:
    """The column of each layer; empty for those that are not drawn."""
    found = []
    decoder = 0
    for layer, group in zip(profile.layers, profile.groups, strict=True):
        number = groups.decoder_layer_of(layer)
        if layer.work == "sync":
            found.append("")
        elif group in _FRONT:
            found.append(_FRONT[group])
        elif group in (groups.SELECTION, groups.VALUES):
            found.append(_SELECTION)
        elif group == groups.POSTPROCESS:
            found.append(_POST)
        elif group == groups.OTHER:
            found.append(next((stage for stage in reversed(found) if stage), "other"))
        else:
            decoder = decoder if number is None else number
            found.append(f"decoder layer {decoder}")
    return found


def _rank(title: str) -> tuple[int, str]:
    order = ("other", "backbone", "AIFI and CCFF", _SELECTION, "decoder", _POST)
    return order.index(title if title in order else "decoder"), title
