"""Hugging Face folders (`PekingU/rtdetr_v2_*`): config.json and safetensors, under the official names."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from detrt.errors import CheckpointError
from detrt.extras import require

# Applied one after the other. Published folders have the names of transformers 4 (`fc1`, `out_proj`,
# `encoder.encoder`), a model in memory those of transformers 5 (`mlp.fc1`, `o_proj`, `encoder.aifi`).
_RENAMED = tuple(
    (re.compile(pattern), official)
    for pattern, official in (
        (r"^model\.backbone\.model\.embedder\.embedder\.0\.", "backbone.conv1.conv1_1."),
        (r"^model\.backbone\.model\.embedder\.embedder\.1\.", "backbone.conv1.conv1_2."),
        (r"^model\.backbone\.model\.embedder\.embedder\.2\.", "backbone.conv1.conv1_3."),
        (r"^model\.backbone\.model\.encoder\.stages\.(\d+)\.layers\.(\d+)\.", r"backbone.res_layers.\1.blocks.\2."),
        (r"\.shortcut\.1\.", ".short.conv."),
        (r"\.shortcut\.", ".short."),
        (r"\.layer\.0\.", ".branch2a."),
        (r"\.layer\.1\.", ".branch2b."),
        (r"\.layer\.2\.", ".branch2c."),
        (r"\.convolution\.", ".conv."),
        (r"\.normalization\.", ".norm."),
        (r"^model\.(en|de)coder_input_proj\.(\d)\.0\.", r"\1coder.input_proj.\2.conv."),
        (r"^model\.(en|de)coder_input_proj\.(\d)\.1\.", r"\1coder.input_proj.\2.norm."),
        (r"^model\.enc_output\.0\.", "decoder.enc_output.proj."),
        (r"^model\.enc_output\.1\.", "decoder.enc_output.norm."),
        (r"^model\.(enc_score_head|enc_bbox_head|denoising_class_embed)\.", r"decoder.\1."),
        (r"^model\.decoder\.query_pos_head\.", "decoder.query_pos_head."),
        (r"^(model\.decoder\.)?class_embed\.", "decoder.dec_score_head."),
        (r"^(model\.decoder\.)?bbox_embed\.", "decoder.dec_bbox_head."),
        (r"^model\.encoder\.aifi\.", "encoder.encoder."),
        (r"^model\.encoder\.", "encoder."),
        (r"^model\.decoder\.layers\.", "decoder.decoder.layers."),
        (r"\.self_attn_layer_norm\.", ".norm1."),
        (r"\.encoder_attn_layer_norm\.", ".norm2."),
        (r"^(encoder\..*)\.final_layer_norm\.", r"\1.norm2."),
        (r"\.final_layer_norm\.", ".norm3."),
        (r"\.encoder_attn\.", ".cross_attn."),
        (r"\.n_points_scale$", ".num_points_scale"),
        (r"\.(mlp\.)?fc([12])\.", r".linear\2."),
        (r"\.o_proj\.", ".out_proj."),
    )
)
_PART_OF_QKV = re.compile(r"\.([qkv])_proj\.(weight|bias)$")


class OfficialName(NamedTuple):
    """Where a tensor lies in the official state dict: all of `name`, or its first, second or third part by rows."""

    name: str
    part: int | None = None


def official_name(name: str) -> OfficialName:
    """The official name of a tensor that Hugging Face calls `name`; unchanged where there is none."""
    for pattern, replacement in _RENAMED:
        name = pattern.sub(replacement, name)
    if part := _PART_OF_QKV.search(name):
        return OfficialName(f"{name[: part.start()]}.in_proj_{part[2]}", "qkv".index(part[1]))
    return OfficialName(name)


def official_state(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same weights under the official names, with queries', keys' and values' projections as one."""
    whole: dict[str, Tensor] = {}
    parts: dict[str, dict[int, Tensor]] = {}
    for key, value in state.items():
        name, part = official_name(key)
        if part is None:
            whole[name] = value
        else:
            parts.setdefault(name, {})[part] = value
    return whole | {name: torch.cat([some[part] for part in sorted(some)]) for name, some in parts.items()}


@dataclass(frozen=True)
class FolderContents:
    """What a folder holds; `discrete` is None where its config does not say."""

    state: Mapping[str, Tensor]
    weights: Path
    class_names: tuple[str, ...]
    discrete: bool | None


def folder_contents(place: Path) -> FolderContents:
    """Read a folder, or the one that a `.safetensors` file lies in.

    Raises:
        CheckpointError: there are no weights or several files of them, they are damaged, or the config is of another
            model.
    """
    files = [place] if place.is_file() else sorted(place.glob("*.safetensors")) if place.is_dir() else []
    if len(files) != 1:
        found = ", ".join(file.name for file in files) or "none"
        raise CheckpointError(
            f"{place} should hold one .safetensors file, and holds {found}.",
            "Download config.json and model.safetensors of an RT-DETRv2 model into one folder.",
        )
    config = _config(files[0].with_name("config.json"))
    load_file = require("safetensors.torch", extra="torch", purpose="Reading safetensors").load_file
    error_type = require("safetensors", extra="torch", purpose="Reading safetensors").SafetensorError
    try:
        state = load_file(files[0])
    except (error_type, OSError, ValueError) as error:
        raise CheckpointError(f"{files[0]} cannot be read: {error}.", "Download it again.") from error
    method = config.get("decoder_method")
    return FolderContents(
        official_state(state), files[0], _class_names(config), None if method is None else method == "discrete"
    )


def _config(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        config = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path} is not JSON: {error}.", "Download it again.") from error
    kind = config.get("model_type") if isinstance(config, dict) else None
    if kind != "rt_detr_v2":
        raise CheckpointError(
            f"{path} describes a model of type '{kind}'.", "Give the folder of an RT-DETRv2 model (rt_detr_v2)."
        )
    return dict(config)


def _class_names(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Names by label, unless they are the placeholders that transformers writes where nobody gave any."""
    try:
        names = {int(label): str(name) for label, name in dict(config.get("id2label") or {}).items()}
    except (TypeError, ValueError):
        return ()
    if sorted(names) != list(range(len(names))) or all(name == f"LABEL_{label}" for label, name in names.items()):
        return ()
    return tuple(names[label] for label in range(len(names)))
