"""The page: whole, self-contained, and saying what the findings say."""

from __future__ import annotations

import json
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest

from detrt.report.findings import Findings, StepLine
from detrt.report.page import HTML, JSON, MARKDOWN, compared_with, engines_of, write_report
from detrt.report.plots import groups_before_and_after, sensitivity, speed_and_accuracy
from detrt.report.verdict import judge
from tests.report.made_up import findings, model

VOID = {"meta", "wbr", "br", "image", "use", "rect", "path", "img", "input"}


class Balanced(HTMLParser):
    """Remembers tags that are not closed in order, and every address."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href")]


@pytest.fixture(scope="module")
def whole() -> Findings:
    steps = (
        StepLine("export", "done", "", 0.5, "a machine"),
        StepLine("build int8 engine", "failed", "Error <4>", 1.0, ""),
        StepLine("score int8 engine", "impossible", "it needs the result of 'build int8 engine'", 0.0, ""),
    )
    engines = model("fp32", "engine", 31.2, 0.9), model("fp16", "engine", 31.1, 0.5), model("int8", "engine", None)
    return findings(model("int8", "onnx", 31.0), *engines, steps=steps)


@pytest.fixture(scope="module")
def folder(whole: Findings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("report")
    write_report(whole, [], made)
    return made


def test_the_page_is_well_formed_and_loads_nothing(folder: Path) -> None:
    page = (folder / HTML).read_text()
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert all(address.startswith(("#", "data:")) for address in parser.addresses)
    assert not re.search(r"@import|url\((?!#)", page)
    assert "made_<wbr>&lt;up&gt; &amp; small" in page
    assert "Error &lt;4&gt;" in page


def test_every_model_is_in_page_and_markdown_with_its_figures(folder: Path, whole: Findings) -> None:
    page, markdown = (folder / HTML).read_text(), (folder / MARKDOWN).read_text()
    rows = [line for line in markdown.splitlines() if re.match(r"\| (FP|INT)\d+ (ONNX|engine) \| (model|–)", line)]
    assert len(rows) == len(whole.models)
    width = markdown[markdown.index("| model |") :].splitlines()[0].count("|")
    for row, told in zip(rows, whole.models, strict=True):
        assert row.count("|") == width
        for text in filter(
            None, (f"{told.ap:.2f}" if told.ap else "", f"{told.times['e2e'].p50:.3f}" if told.times else "")
        ):
            assert text in row
            assert text in page


def test_json_holds_everything(folder: Path, whole: Findings) -> None:
    told = json.loads((folder / JSON).read_text())
    assert told["verdict"]["ships"] == "FP16 engine"
    assert told["models"][2]["times"]["engine"]["p99"] == pytest.approx(whole.models[2].times["engine"].p99)
    assert [step["state"] for step in told["steps"]] == ["done", "failed", "impossible"]


def test_what_was_not_done_stands_together_by_reason(folder: Path) -> None:
    tail = (folder / MARKDOWN).read_text().partition("## What was not done")[2].partition("## Steps")[0]
    assert tail.strip().splitlines() == [
        "- **failed**: build int8 engine.",
        "  Error <4>.",
        "- **not here**: score int8 engine.",
        "  It needs the result of 'build int8 engine'.",
    ]


def test_plots_are_drawings_whose_colours_the_page_sets(whole: Findings) -> None:
    before, after = engines_of(whole, judge(whole))
    assert before is not None
    assert after is not None
    assert (before.precision, after.precision) == ("fp32", "fp16")
    drawings = (
        speed_and_accuracy(whole, judge(whole)),
        sensitivity(whole.quantizations[0]),
        groups_before_and_after(before, after),
    )
    for svg in drawings:
        assert ElementTree.fromstring(svg.replace("xlink:", "")).get("viewBox")
        assert "var(--ink)" in svg
        assert "#00000" not in svg
    assert "sampling_offsets" in drawings[1]
    assert "postprocess" in drawings[2]
    assert speed_and_accuracy(findings(), judge(findings())) == ""


def test_without_matplotlib_the_page_says_so(whole: Findings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    write_report(whole, [], tmp_path)
    page = (tmp_path / HTML).read_text()
    assert "pip install &#39;detrt[plot]&#39;" in page
    assert "<figure>" not in page


def test_what_ships_is_shown_beside_the_reference_else_the_most_accurate(whole: Findings) -> None:
    assert compared_with(whole, judge(whole)) == "FP16 engine"
    on_cpu = findings(model("int8", "onnx", 30.0, 90.0), model("fp8", "onnx", 30.5, 90.0))
    assert judge(on_cpu).ships is on_cpu.reference
    assert compared_with(on_cpu, judge(on_cpu)) == "FP8 ONNX"
    assert compared_with(findings(), judge(findings())) is None
