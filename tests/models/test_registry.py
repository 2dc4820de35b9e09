"""The registry as it is shipped, and how a name becomes a file."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest

from detrt.errors import ModelError
from detrt.models import registry as registry_module
from detrt.models.registry import (
    COCO_SET,
    PublishedModel,
    Source,
    find,
    is_right,
    place,
    registry,
    registry_from_yaml,
    resolve_model,
)

ENTRY = """
models:
  - name: one
    file: one.onnx
    kind: onnx
    family: RT-DETR
    variant: r18vd
    input_size: [640, 640]
    licence: Apache-2.0
    ap: 46.5
    ap_source: somewhere
    sources:
      - url: https://example.org/one.onnx
        found: somewhere
"""
CONTENT = b"the weights"
MODEL = PublishedModel(
    name="one",
    file="one.onnx",
    kind="onnx",
    family="RT-DETR",
    variant="r18vd",
    input_size=(640, 640),
    licence="Apache-2.0",
    ap=46.5,
    ap_source="somewhere",
    sources=(Source("https://example.org/one.onnx", "somewhere"),),
)
KNOWN = replace(MODEL, sha256=hashlib.sha256(CONTENT).hexdigest())


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry_module, "registry", lambda: {"one": KNOWN})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "one.onnx").write_bytes(CONTENT)
    return tmp_path


def test_the_shipped_registry_is_sound() -> None:
    for name, model in registry().items():
        assert re.fullmatch(r"[a-z0-9-]+", name)
        assert min(model.input_size) >= 320
        assert 0 < model.ap < 100
        assert model.licence
        assert "http" in model.ap_source or model.ap_on != COCO_SET
        assert model.sources or place(model) == "built in", f"{name} can be had nowhere"
        for source in model.sources:
            assert source.url.startswith("https://")
            assert source.url.endswith(model.file)
            assert source.found
        assert all(re.fullmatch(r"[0-9a-f]{64}", digest) for digest in model.known_sha256)
    assert len({model.file for model in registry().values()}) == len(registry())


def test_every_checkpoint_is_of_a_variant_that_can_be_built() -> None:
    from detrt.models.variants import VARIANTS

    assert {model.variant for model in registry().values() if model.kind == "checkpoint"} <= set(VARIANTS)


def test_the_files_here_are_those_of_the_registry(femto: Path, atto: Path) -> None:
    assert is_right(registry()["deimv2-femto"], femto)
    assert is_right(registry()["deimv2-atto"], atto)
    assert not is_right(registry()["deimv2-atto"], femto)
    assert resolve_model("deimv2-femto", [femto.parent]) == femto
    assert registry()["deimv2-femto"].size == femto.stat().st_size


def test_an_entry_is_read_as_it_stands() -> None:
    assert registry_from_yaml(ENTRY) == {"one": MODEL}


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("ap: 46.5", "ap: 46.5\n    colour: red", "unknown colour"),
        ("found: somewhere", "found: somewhere\n        md5: 12", "unknown md5"),
        ("    licence: Apache-2.0\n", "", "licence missing"),
        ("kind: onnx", "kind: engine", "'engine' is no kind"),
        ("models:", "models:\n" + ENTRY.partition("models:\n")[2], "there twice"),
    ],
)
def test_a_faulty_registry_is_refused(old: str, new: str, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        registry_from_yaml(ENTRY.replace(old, new, 1))


def test_a_path_is_itself(folder: Path) -> None:
    assert resolve_model(str(folder / "one.onnx"), []) == folder / "one.onnx"


@pytest.mark.usefixtures("known")
def test_a_name_or_its_file_is_found_in_the_folders(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    empty = tmp_path_factory.mktemp("empty")
    for text in ("one", "one.onnx"):
        assert resolve_model(text, [empty, folder]) == folder / "one.onnx"


@pytest.mark.usefixtures("known")
def test_a_known_name_that_is_not_here_says_how_to_pull_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"known, but one\.onnx is not on this machine") as caught:
        resolve_model("one", [tmp_path])
    assert "detrt models pull one" in caught.value.remedy


@pytest.mark.usefixtures("known")
def test_another_file_under_the_name_is_not_taken_for_it(folder: Path) -> None:
    (folder / "one.onnx").write_bytes(b"others")
    with pytest.raises(ModelError, match="not its content"):
        resolve_model("one", [folder])


def test_a_file_of_nobody_is_found_in_the_folders(folder: Path) -> None:
    (folder / "mine.onnx").write_bytes(b"mine")
    assert resolve_model("mine.onnx", [folder]) == folder / "mine.onnx"


@pytest.mark.usefixtures("known")
def test_what_was_pulled_without_a_known_hash_is_right(folder: Path) -> None:
    (folder / "one.onnx").write_bytes(b"from elsewhere")
    assert find(KNOWN, [folder]) is None
    digest = hashlib.sha256(b"from elsewhere").hexdigest()
    (folder / "one.onnx.sha256").write_text(f"{digest}  one.onnx  https://example.org\n")
    assert find(KNOWN, [folder]) == folder / "one.onnx"
    (folder / "one.onnx").write_bytes(b"damaged since")
    assert find(KNOWN, [folder]) is None


def test_a_mistyped_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ModelError, match="deimv2-fento") as caught:
        resolve_model("deimv2-fento", [])
    assert "Did you mean deimv2-femto" in caught.value.remedy


def test_a_mistyped_path_is_answered_with_the_file_beside(folder: Path) -> None:
    with pytest.raises(ModelError, match="no model") as caught:
        resolve_model(str(folder / "onne.onnx"), [])
    assert str(folder / "one.onnx") in caught.value.remedy


def test_a_folder_is_no_model(folder: Path) -> None:
    with pytest.raises(ModelError, match="is a folder"):
        resolve_model(str(folder), [])


@pytest.mark.usefixtures("known")
def test_what_is_built_in_needs_no_network_and_gives_way_to_other_copies(
    folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.setenv("DETRT_MODELS", str(elsewhere))
    monkeypatch.setenv("DETRT_CACHE", str(elsewhere / "cache"))
    monkeypatch.setattr(registry_module, "embedded_folder", lambda: folder)
    assert place(KNOWN) == "built in"
    assert resolve_model("one") == folder / "one.onnx"
    (elsewhere / "one.onnx").write_bytes(CONTENT)
    assert place(KNOWN) == "here"


def test_the_place_is_here_cached_or_nowhere(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DETRT_MODELS", "")
    monkeypatch.setenv("DETRT_CACHE", str(tmp_path / "cache"))
    assert place(KNOWN) == "not here"
    (tmp_path / "cache" / "models").mkdir(parents=True)
    (tmp_path / "cache" / "models" / "one.onnx").write_bytes(CONTENT)
    assert place(KNOWN) == "cached"
    monkeypatch.setenv("DETRT_MODELS", str(folder))
    assert place(KNOWN) == "here"
