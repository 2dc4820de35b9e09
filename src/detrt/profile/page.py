"""A profile as one HTML page that needs nothing else: figures, groups, the table of layers with search, the picture."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib.resources import files

from detrt.profile.labels import label_of
from detrt.profile.palette import GROUP_COLORS, PLAIN, precision_color
from detrt.profile.picture import svg_of
from detrt.profile.profile import EngineProfile, Share


def page_of(profile: EngineProfile) -> str:
    """The page. It loads nothing from anywhere."""
    assets = files("detrt.profile") / "assets"
    body = (
        f"<header><h1>{escape(profile.name)}</h1><p>{escape(_subtitle(profile))}</p></header>",
        f'<section class="cards">{"".join(_card(*card) for card in _cards(profile))}</section>',
        _shares("Parts of the detector", profile.by_group, {share: GROUP_COLORS[share] for share in GROUP_COLORS}),
        _shares(
            "What the layers compute on",
            profile.by_precision,
            {share.name: precision_color(share.name) for share in profile.by_precision},
        ),
        _picture(profile),
        _table(profile),
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(profile.name)} · detrt profile</title>'
        f"<style>{(assets / 'page.css').read_text()}</style></head>\n<body>\n"
        + "\n".join(body)
        + f"\n<script>{(assets / 'page.js').read_text()}</script>\n</body></html>\n"
    )


def _subtitle(profile: EngineProfile) -> str:
    about = [profile.device, f"{profile.runs} profiled runs" if profile.runs else "not timed"]
    return " · ".join(filter(None, about))


def _cards(profile: EngineProfile) -> Iterable[tuple[str, str, str]]:
    """Value, what it is, and a remark."""
    if profile.latency:
        span = f"{profile.latency.least:.3f} to {profile.latency.most:.3f} over {profile.latency.runs} runs"
        yield f"{profile.latency.median:.3f} ms", "latency, median", span
    if profile.times:
        ratio = f"{profile.total / 1e3 / profile.latency.median:.2f} × the latency: " if profile.latency else ""
        yield f"{profile.total / 1e3:.3f} ms", "sum of layers", ratio + "layers are profiled one at a time"
    working = sum(layer.work != "sync" for layer in profile.layers)
    yield f"{len(profile.layers)}", "layers", f"{working} of them do something, the others order streams"
    copies, quantizers = profile.reformats, profile.quantizers
    remark = f"{quantizers.layers} of them quantise" + (f"; {copies.percent:.1f} % of the sum" if profile.times else "")
    yield f"{copies.layers}", "reformats", remark


def _card(value: str, what: str, remark: str) -> str:
    return f'<div class="card"><b>{escape(value)}</b><span>{escape(what)}</span><small>{escape(remark)}</small></div>'


def _shares(title: str, shares: list[Share], colors: dict[str, str]) -> str:
    """One stacked bar, and its key with figures."""
    timed = any(share.time for share in shares)
    weights = {share.name: share.percent if timed else share.layers for share in shares}
    bar = "".join(
        f'<i style="flex:{weights[share.name]:.3f};background:{colors.get(share.name, PLAIN)}" '
        f'title="{escape(share.name)} {share.percent:.1f} %"></i>'
        for share in shares
    )
    key = "".join(
        f'<li data-find="{escape(share.name)}"><i style="background:{colors.get(share.name, PLAIN)}"></i>'
        f"<span>{escape(share.name)}</span><b>{share.percent:.1f} %</b>"
        f"<small>{share.time:.0f} µs · {share.layers} layers</small></li>"
        for share in shares
    )
    return f'<section><h2>{escape(title)}</h2><div class="bar">{bar}</div><ul class="key">{key}</ul></section>'


def _picture(profile: EngineProfile) -> str:
    buttons = (
        '<button data-color="group" class="on">by part</button><button data-color="precision">by precision</button>'
    )
    return (
        f'<section><h2>Graph <span class="buttons">{buttons}</span></h2>'
        f'<div class="graph">{svg_of(profile)}</div></section>'
    )


def _table(profile: EngineProfile) -> str:
    rows = "".join(_row(profile, number) for number in range(len(profile.layers)))
    heads = "".join(
        f'<th data-kind="{kind}">{title}</th>'
        for title, kind in (
            ("#", "number"), ("layer", "text"), ("part", "text"), ("precision", "text"), ("kind", "text"),
            ("µs", "number"), ("%", "number"),
        )
    )  # fmt: skip
    return (
        '<section><h2>Layers <input type="search" placeholder="search layers, parts, ONNX nodes, kernels">'
        f'<small id="found"></small></h2><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></section>'
    )


def _row(profile: EngineProfile, number: int) -> str:
    layer, group, time = profile.layers[number], profile.groups[number], profile.mean[number]
    onnx = "\n".join(layer.sources)
    text = " ".join((layer.name, group, layer.precision, layer.kind, layer.tactic, *layer.sources)).lower()
    details = "".join(
        f"<dt>{what}</dt><dd>{escape(value)}</dd>"
        for what, value in (("layer", layer.name), ("kernel", layer.tactic), ("ONNX nodes", onnx))
        if value
    )
    return (
        f'<tr data-layer="{number}" data-text="{escape(text)}"><td>{number}</td>'
        f"<td><details><summary>{escape(label_of(layer, most=60))}</summary><dl>{details}</dl></details></td>"
        f'<td><i style="background:{GROUP_COLORS[group]}"></i>{escape(group)}</td>'
        f'<td><i style="background:{precision_color(layer.precision)}"></i>{escape(layer.precision)}</td>'
        f"<td>{escape(layer.kind)}</td><td>{time:.1f}</td><td>{profile.percent(time):.2f}</td></tr>"
    )
