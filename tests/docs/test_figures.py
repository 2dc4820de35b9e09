"""The README's figures are those of the pages that tell how they were measured."""

from __future__ import annotations

import re

from tests.docs.pages import ROOT

MEASURED = ("benchmarks.md", "quantisation.md", "precision.md")


def test_every_figure_of_the_readme_stands_where_it_was_measured() -> None:
    section = (ROOT / "README.md").read_text().partition("## Figures")[2].partition("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    figures = re.findall(r"(?<![\d.])\d[\d,]*\.?\d+(?![\d.])", "\n".join(cells(row) for row in rows))
    assert len(figures) > 10
    known = "\n".join((ROOT / "docs" / name).read_text() for name in MEASURED)
    for figure in figures:
        assert re.search(rf"(?<![\d.,]){re.escape(figure)}(?![\d.])", known), (
            f"README.md says {figure}; who measured it?"
        )


def cells(row: str) -> str:
    """A row without its first cell, which names what was measured."""
    return "|".join(row.split("|")[2:])
