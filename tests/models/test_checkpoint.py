from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from detrt.coco_names import COCO_NAMES
from detrt.errors import CheckpointError, UsageError
from detrt.models.checkpoint import (
    class_names_of,
    fitting_variant,
    load_model,
    model_from_checkpoint,
    read_checkpoint,
)
from detrt.models.rtdetrv2 import RTDETRv2
from detrt.models.variants import R18VD, VARIANTS, variant_named
from tests.models.seeded import SMALL, seeded_model


def state_of(name: str) -> dict[str, torch.Tensor]:
    """A state dict with the shapes of a variant, and no numbers worth storing."""
    with torch.device("meta"):
        model = RTDETRv2(VARIANTS[name])
    return {key: torch.zeros(()).expand(value.shape) for key, value in model.state_dict().items()}


def saved(tmp_path: Path, content: Any, name: str = "weights.pth") -> Path:
    torch.save(content, tmp_path / name)
    return tmp_path / name


@pytest.mark.parametrize("name", VARIANTS)
def test_variant_is_found_from_shapes(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path, {"model": state_of(name)}, f"rtdetrv2_{name}_coco.pth")
    assert fitting_variant(read_checkpoint(path)).name == name


def test_ema_weights_come_before_the_last_ones(tmp_path: Path) -> None:
    ema, last = seeded_model(SMALL).state_dict(), RTDETRv2(SMALL).state_dict()
    path = saved(tmp_path, {"ema": {"module": ema, "updates": 7}, "model": last, "last_epoch": 71})
    loaded = model_from_checkpoint(read_checkpoint(path), SMALL).state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in ema.items())


@pytest.mark.parametrize("wrapped", [lambda state: {"model": state}, lambda state: state])
def test_weights_without_ema_load(tmp_path: Path, wrapped: Any) -> None:
    path = saved(tmp_path, wrapped(seeded_model(SMALL).state_dict()))
    assert read_checkpoint(path).state.keys() == RTDETRv2(SMALL).state_dict().keys()


def test_constants_of_another_input_size_do_not_matter(tmp_path: Path) -> None:
    path = saved(tmp_path, {"model": seeded_model(SMALL).state_dict()})
    model = model_from_checkpoint(read_checkpoint(path), SMALL.sized((256, 192)))
    assert model.decoder.anchors.shape == (1, 32 * 24 + 16 * 12 + 8 * 6, 4)


def test_fine_tuned_model_keeps_its_number_of_classes(tmp_path: Path) -> None:
    model = RTDETRv2(replace(R18VD, classes=3))
    loaded, checkpoint = load_model(saved(tmp_path, {"model": model.state_dict()}), size=(128, 160))
    assert (loaded.variant.name, loaded.variant.classes) == ("r18vd", 3)
    assert class_names_of(checkpoint, 3) == ()
    assert class_names_of(checkpoint, 80) == COCO_NAMES


def test_wrong_variant_is_told_which_would_fit(tmp_path: Path) -> None:
    path = saved(tmp_path, {"model": state_of("r34vd")})
    with pytest.raises(CheckpointError) as caught:
        load_model(path, variant="rtdetrv2_r18vd")
    assert "unknown (backbone.res_layers.0.blocks.2." in caught.value.problem
    assert "--variant r34vd" in caught.value.remedy


def test_missing_extra_and_misshaped_weights_are_listed(tmp_path: Path) -> None:
    state = dict(state_of("r18vd"))
    del state["encoder.input_proj.0.conv.weight"]
    state["neck.weight"] = torch.zeros(3)
    state["decoder.enc_output.proj.bias"] = torch.zeros(5)
    with pytest.raises(CheckpointError) as caught:
        load_model(saved(tmp_path, {"model": state}))
    problem = caught.value.problem
    assert "the nearest is r18vd" in problem
    assert "1 missing (encoder.input_proj.0.conv.weight)" in problem
    assert "1 unknown (neck.weight)" in problem
    assert "decoder.enc_output.proj.bias is 5 instead of 256" in problem


def test_pickle_that_runs_code_does_not(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, tuple[str]]:
            return os.mkdir, (str(tmp_path / "sprung"),)

    path = saved(tmp_path, {"model": {"weight": torch.zeros(1)}, "trap": Trap()})
    with pytest.raises(CheckpointError, match="would run code"):
        read_checkpoint(path)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"hello", bytes(1000)])
def test_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"weights\.pth"):
        read_checkpoint(path)


@pytest.mark.parametrize("text", ["street", "sun\nmoon\n", ".gitignore", "I am no pickle", "("])
def test_text_is_no_checkpoint_however_an_unpickler_stumbles_over_it(tmp_path: Path, text: str) -> None:
    path = tmp_path / "names.txt"
    path.write_text(text)
    with pytest.raises(CheckpointError, match=r"names\.txt .* is no PyTorch checkpoint"):
        read_checkpoint(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning")
@pytest.mark.parametrize("legacy", [True, False])
def test_damage_anywhere_is_told_by_name_or_harmless(tmp_path: Path, legacy: bool) -> None:
    state = {"weight": torch.arange(6.0).reshape(2, 3), "bias": torch.ones(2)}
    torch.save({"model": state}, tmp_path / "whole.pth", _use_new_zipfile_serialization=not legacy)
    whole = (tmp_path / "whole.pth").read_bytes()
    path = tmp_path / "weights.pth"
    for at in range(0, len(whole), 1 + len(whole) // 400):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x2A]) + whole[at + 1 :])
        with suppress(CheckpointError):
            read_checkpoint(path)


def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = saved(tmp_path, {"model": {"weight": torch.zeros(1)}})
    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(CheckpointError, match=r"weights\.pth cannot be read: Permission denied"):
        read_checkpoint(path)


def test_a_photo_is_not_taken_for_a_dangerous_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"\xff\xd8\xff\xe0 of a JPEG")
    with pytest.raises(CheckpointError, match="is no PyTorch checkpoint"):
        read_checkpoint(path)


@pytest.mark.parametrize("content", [{"optimizer": {"lr": 1.0}}, [1, 2], {}, {"model": {}}])
def test_file_without_weights_is_named(tmp_path: Path, content: Any) -> None:
    with pytest.raises(CheckpointError, match="has no weights"):
        read_checkpoint(saved(tmp_path, content))


def test_weights_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    state = seeded_model(SMALL).state_dict()
    state["decoder.enc_output.proj.bias"][3] = torch.nan
    with pytest.raises(CheckpointError, match=r"NaN or infinity in decoder\.enc_output\.proj\.bias"):
        model_from_checkpoint(read_checkpoint(saved(tmp_path, {"model": state})), SMALL)


def test_folder_of_another_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "detr"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="type 'detr'"):
        read_checkpoint(tmp_path)


def test_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds none"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("size", [(640, 650), (32, 640), (64, 64)])
def test_size_that_cannot_be_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=f"{size[0]}x{size[1]}"):
        R18VD.sized(size)


def test_unknown_variant_is_refused() -> None:
    with pytest.raises(UsageError, match="r18vd, r34vd"):
        variant_named("r19vd")
