"""Picture, page, trace and comparison of profiles."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from pathlib import Path

import pytest

from detrt.profile.difference import difference
from detrt.profile.layout import HEIGHT, WIDTH, layout_of
from detrt.profile.load import profile_from_files
from detrt.profile.page import page_of
from detrt.profile.picture import ColorBy, svg_of
from detrt.profile.profile import EngineProfile
from detrt.profile.trace import trace_of
from tests.profile.conftest import ENGINES

Engine = Callable[[str], EngineProfile]
SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", ENGINES)
def test_every_working_layer_has_a_box_and_none_overlap(engine: Engine, name: str) -> None:
    profile = engine(name)
    layout = layout_of(profile)
    assert {box.layer for box in layout.boxes} == {
        number for number, layer in enumerate(profile.layers) if layer.work != "sync"
    }
    corners = {(box.x, box.y) for box in layout.boxes}
    assert len(corners) == len(layout.boxes)
    for x, y in corners:
        assert 0 <= x <= layout.width - WIDTH
        assert 0 <= y <= layout.height - HEIGHT
    ys = {(box.x, box.y): box.layer for box in layout.boxes}
    for (x, y), layer in ys.items():  # a column reads from top to bottom
        assert all(ys[other] > layer for other in ys if other[0] == x and other[1] > y)
    assert [column.title for column in layout.columns] == [
        "backbone", "AIFI and CCFF", "query selection", "decoder layer 0", "decoder layer 1", "decoder layer 2",
        "postprocess",
    ]  # fmt: skip


@pytest.mark.parametrize("color", ["group", "precision"])
def test_the_picture_is_valid_xml(engine: Engine, color: ColorBy) -> None:
    profile = engine(ENGINES[0])
    root = ElementTree.fromstring(svg_of(profile, color=color))
    boxes = root.findall(f"{SVG}g[@class='layer']")
    assert len(boxes) == len(layout_of(profile).boxes)
    assert root.get("class") == f"by-{color}"


def test_the_page_needs_nothing_else(engine: Engine) -> None:
    profile = engine(ENGINES[0])
    page = page_of(profile)
    loaded = re.findall(r"""(?:src|href)\s*=|url\(|@import|fetch\(""", page)
    assert not loaded
    assert page.count("<tr data-layer=") == len(profile.layers)
    assert "0.844 ms" in page


def test_the_trace_follows_the_engine(small: Path) -> None:
    profile = profile_from_files(small)
    events = [event for event in trace_of(profile)["traceEvents"] if event["ph"] == "X"]
    assert [event["ts"] for event in events] == [0.0, 1.0, 3.0, 3.0, 7.0]
    assert [event["tid"] for event in events] == [0, 0, 1, 1, 0]
    assert sum(event["dur"] for event in events) == pytest.approx(profile.total)


def test_difference_of_two_engines(engine: Engine) -> None:
    before, after = engine("trt10.9_int8_fp32"), engine("trt10.9_int8_fp16")
    found = difference(before, after)
    assert sum(change.delta for change in found.groups) == pytest.approx(after.total - before.total)
    assert sum(change.delta for change in found.layers) == pytest.approx(after.total - before.total, abs=0.5)
    assert abs(found.layers[0].delta) >= abs(found.layers[-1].delta)
    top = next(change for change in found.layers if change.name == "postprocessor TopK")
    assert top.delta == pytest.approx(43.4 - 78.8, abs=0.2)


def test_an_engine_does_not_differ_from_itself(small: Path) -> None:
    profile = profile_from_files(small)
    assert all(
        change.delta == 0 for change in (*difference(profile, profile).groups, *difference(profile, profile).layers)
    )
