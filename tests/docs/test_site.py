"""The documentation's site: it builds without a warning, and nothing is missing from it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from detrt.cli.app import app
from detrt.cli.options import _READERS
from tests.docs.pages import ROOT, pages

pytest.importorskip("zensical", reason="zensical needs Python 3.11")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built strictly from a copy, as `make docs` builds it."""
    folder = tmp_path_factory.mktemp("site")
    for name in ("zensical.toml", "README.md"):
        shutil.copy(ROOT / name, folder)
    for name in ("docs", "src", "tools"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "zensical", "build", "--strict"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    said = re.sub(r"\x1b\[[\d;]*m", "", done.stdout + done.stderr)
    assert done.returncode == 0, said
    assert not re.search(r"(?i)warning|error", said), said
    return folder / "site"


def test_every_page_has_its_place_in_the_navigation(site: Path) -> None:
    start = (site / "index.html").read_text()
    for page in pages()[1:]:
        target = page.relative_to(ROOT / "docs").with_suffix(".html")
        assert f'href="./{target}"' in start or target.name == "index.html", f"{page} is not in zensical.toml's nav"


def test_the_reference_has_every_command_and_option(site: Path) -> None:
    reference = (site / "reference" / "cli.html").read_text()
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        assert f"detrt {name}" in reference
        for option in (option for parameter in command.params for option in parameter.opts if option.startswith("--")):
            assert option in reference, f"detrt {name} {option}"


def test_the_reference_has_the_docstrings(site: Path) -> None:
    from detrt import Detector

    reference = (site / "reference" / "python.html").read_text()
    for method in ("open", "stream", "detect"):
        first = (getattr(Detector, method).__doc__ or "").splitlines()[0]
        assert re.split(r"[`,']", first)[0] in reference


def test_the_keys_of_the_contract_are_those_that_there_are() -> None:
    text = (ROOT / "docs" / "reference" / "contract.md").read_text()
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \|", text, re.MULTILINE)
    assert {key for row in rows for key in re.findall(r"\w+", row)} == set(_READERS)


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    """A reader without a network sees the same; what is linked to may be anywhere."""
    for page in site.rglob("*.html"):
        for tag in re.findall(r"<(?:script|link|img|iframe)\b[^>]*>", page.read_text()):
            if 'rel="canonical"' not in tag:
                assert not re.search(r'(?:src|href)="?(?:https?:)?//', tag), f"{page.name}: {tag}"


def test_the_search_finds_a_command(site: Path) -> None:
    index = json.loads((site / "search.json").read_text())
    assert any("detrt quantize" in item.get("title", "") for item in index["items"])


def test_the_readme_links_to_headings_that_there_are(site: Path) -> None:
    """The site checks those of its own pages when it is built."""
    for page, anchor in re.findall(r"\]\(docs/([\w/-]+)\.md#([\w-]+)\)", (ROOT / "README.md").read_text()):
        assert f'id="{anchor}"' in (site / f"{page}.html").read_text(), f"docs/{page}.md has no heading #{anchor}"


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_to_files_of_the_repository_lead_somewhere(page: Path) -> None:
    """Those of README.md, which is no page of the site, and pictures."""
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
        if not re.match(r"https?://|mailto:", target):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"
