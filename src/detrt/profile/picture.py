"""The layers of an engine as a picture (SVG): boxes in columns, filled by how long they take, tensors as curves."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from typing import Literal

from detrt.profile.groups import GROUPS
from detrt.profile.labels import label_of
from detrt.profile.layout import COLUMN, HEIGHT, ROW, WIDTH, Box, Layout, layout_of
from detrt.profile.palette import GROUP_COLORS, precision_color
from detrt.profile.profile import EngineProfile

ColorBy = Literal["group", "precision"]

_STYLE = """
text { font: 11px system-ui, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif; fill: #1d2330; }
.head { font-weight: 600; font-size: 14px; }
.sub { fill: #6a7285; }
.box { fill: #fff; stroke: #d8dce4; }
.time { opacity: .3; }
.us { text-anchor: end; fill: #47506a; font-variant-numeric: tabular-nums; }
.edge { fill: none; stroke: #b7bfce; stroke-width: 1.1; }
.far { stroke: #cfd5e1; }
.by-group .of-precision, .by-precision .of-group { display: none; }
.layer:hover .box { stroke: #1d2330; }
.layer.dim { opacity: .15; }
"""


def svg_of(profile: EngineProfile, *, color: ColorBy = "group") -> str:
    """A picture that stands alone; hovering a box tells the rest. A page finds the boxes by their `data-layer`."""
    layout = layout_of(profile)
    longest = max(profile.mean, default=0.0) or 1.0
    places = {box.layer: box for box in layout.boxes}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{layout.width}" height="{layout.height}" '
        f'viewBox="0 0 {layout.width} {layout.height}" class="by-{color}" role="img" '
        f'aria-label="Layers of {escape(profile.name)}">',
        f"<style>{_STYLE}{_colors(profile)}</style>",
        f'<rect width="{layout.width}" height="{layout.height}" fill="#f6f7fa"/>',
        *_heads(profile, layout),
        *(_edge(places[maker], places[reader]) for maker, reader in layout.edges),
        *(_box(profile, box, longest) for box in layout.boxes),
        *_legend("group", sorted(set(profile.groups), key=GROUPS.index), layout),
        *_legend("precision", [share.name for share in profile.by_precision], layout),
        "</svg>",
    ]
    return "\n".join(parts)


def _colors(profile: EngineProfile) -> str:
    """A class for each group and precision; the class of the whole picture says which of the two counts."""
    groups = sorted(set(profile.groups))
    precisions = sorted({layer.precision for layer in profile.layers})
    rules = [f".by-group .{_class(name)} {{ fill: {GROUP_COLORS[name]}; }}" for name in groups]
    rules += [f".by-precision .{_class(name)} {{ fill: {precision_color(name)}; }}" for name in precisions]
    return "\n".join(rules)


def _class(name: str) -> str:
    return "c-" + "".join(letter if letter.isalnum() else "-" for letter in name.lower()) if name else "c-none"


def _heads(profile: EngineProfile, layout: Layout) -> list[str]:
    times = {column.x: 0.0 for column in layout.columns}
    for box in layout.boxes:
        times[box.x] += profile.mean[box.layer]
    return [
        f'<text class="head" x="{column.x}" y="30">{escape(column.title)}</text>'
        f'<text class="sub" x="{column.x}" y="47">{column.rows} layers'
        + (f" · {times[column.x]:.0f} µs · {profile.percent(times[column.x]):.1f} %" if profile.times else "")
        + "</text>"
        for column in layout.columns
    ]


def _legend(kind: ColorBy, names: list[str], layout: Layout) -> Iterator[str]:
    """What the colours mean, below the last stage; shown while they mean it."""
    x, top = layout.legend
    yield f'<g class="legend of-{kind}">'
    for line, name in enumerate(names):
        y = top + 20 * line
        yield f'<rect class="{_class(name)}" x="{x}" y="{y}" width="12" height="12" rx="3"/>'
        yield f'<text x="{x + 20}" y="{y + 10}">{escape(name)}</text>'
    yield "</g>"


def _box(profile: EngineProfile, box: Box, longest: float) -> str:
    layer, group, time = profile.layers[box.layer], profile.groups[box.layer], profile.mean[box.layer]
    colors = f"{_class(group)} {_class(layer.precision)}"
    shapes = "; ".join(f"{tensor.dtype} {list(tensor.shape)}" for tensor in layer.outputs[:3])
    about = "\n".join(
        filter(None, (layer.name, f"{group} · {layer.kind} · {layer.precision} · stream {layer.stream}", shapes))
    )
    bar = max(3.0, WIDTH * time / longest) if time else 0.0
    return (
        f'<g class="layer" data-layer="{box.layer}" transform="translate({box.x} {box.y})">'
        f"<title>{escape(about)}</title>"
        f'<rect class="box" width="{WIDTH}" height="{HEIGHT}" rx="4"/>'
        f'<rect class="time {colors}" width="{bar:.1f}" height="{HEIGHT}" rx="4"/>'
        f'<rect class="{colors}" width="5" height="{HEIGHT}" rx="2.5"/>'
        f'<text x="12" y="16">{escape(label_of(layer, most=31))}</text>'
        + (f'<text class="us" x="{WIDTH - 7}" y="16">{time:.1f}</text>' if profile.times else "")
        + "</g>"
    )


def _edge(maker: Box, reader: Box) -> str:
    """Straight to the box below; around the side within a column; through the gutter to another column."""
    middle = HEIGHT / 2
    if maker.x == reader.x and 0 < reader.y - maker.y <= ROW:
        x = maker.x + 16
        return f'<path class="edge" d="M{x} {maker.y + HEIGHT}V{reader.y}"/>'
    if maker.x == reader.x:
        x, out = maker.x + WIDTH, 10 + min(26, abs(reader.y - maker.y) / 12)
        start, end = maker.y + middle, reader.y + middle
        return f'<path class="edge" d="M{x} {start}C{x + out} {start} {x + out} {end} {x} {end}"/>'
    start_x, end_x = (maker.x + WIDTH, reader.x) if maker.x < reader.x else (maker.x, reader.x + WIDTH)
    bend = (COLUMN - WIDTH) * (1 if maker.x < reader.x else -1)
    return (
        f'<path class="edge far" d="M{start_x} {maker.y + middle}C{start_x + bend} {maker.y + middle} '
        f'{end_x - bend} {reader.y + middle} {end_x} {reader.y + middle}"/>'
    )
