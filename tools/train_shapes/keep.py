"""What a training leaves on disk: a state to go on from, in files small enough to travel, and the checkpoint."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from tools.train_shapes.outlines import CLASSES
from torch import Tensor

from detrt.models.rtdetrv2 import RTDETRv2

State = dict[str, Any]

PARTS = ("model", "average", "moments")  # one file each, below 16 MB


def save_state(folder: Path, state: State, progress: State) -> None:
    """Write the learner's state, and `progress`; what was there is replaced once all of it is written."""
    new = folder.with_name(folder.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(parents=True)
    optimiser = state["optimiser"]
    moments = {name: {key: _short(value) for key, value in row.items()} for name, row in optimiser["state"].items()}
    groups = optimiser["param_groups"]
    torch.save(state["model"], new / "model.pt")
    torch.save(state["average"], new / "average.pt")
    torch.save(
        {"state": moments, "param_groups": groups, "step": state["step"], "progress": progress}, new / "moments.pt"
    )
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


def load_state(folder: Path) -> tuple[State, State]:
    """The learner's state and the progress that `save_state` wrote."""
    model, average, rest = (torch.load(folder / f"{part}.pt", map_location="cpu") for part in PARTS)
    moments = {name: {key: value.float() for key, value in row.items()} for name, row in rest["state"].items()}
    optimiser = {"state": moments, "param_groups": rest["param_groups"]}
    return {"model": model, "average": average, "optimiser": optimiser, "step": rest["step"]}, rest["progress"]


def save_checkpoint(path: Path, model: RTDETRv2) -> None:
    """Write the weights as an official checkpoint has them; matrices and kernels as float16, all else as it is."""
    state = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    half = {name: value.half() if _is_matrix(name, value) else value for name, value in state.items()}
    torch.save({"ema": {"module": half}, "class_names": list(CLASSES)}, path)


def _is_matrix(name: str, value: Tensor) -> bool:
    return value.is_floating_point() and value.ndim > 1 and not name.endswith("anchors")


def _short(value: Tensor) -> Tensor:
    """Adam's moments need few digits; its step counts need all."""
    return value.bfloat16() if value.ndim else value
