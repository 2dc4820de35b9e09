"""What a model expects and returns, as it travels inside the model file.

Whoever makes an ONNX writes its contract into `metadata_props` (keys `detrt.*`); the engine builder copies it into the
engine's manifest. Every consumer reads it here and asks nobody else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

from detrt.errors import ContractError

OutputForm = Literal["detections", "raw"]
ResizeMode = Literal["stretch", "letterbox"]
ColorOrder = Literal["RGB", "BGR"]

PREFIX = "detrt."
FORMAT = 1  # raised when an old reader would misread a new contract


@dataclass(frozen=True)
class ResizeRule:
    """How a photo of any size becomes the network's input size.

    `stretch` changes the aspect ratio; `letterbox` keeps it, centres the photo, fills the rest with `pad` (0..255).
    The filter is bilinear. With `antialias` its support grows with the reduction, as in Pillow and in the training
    code of the family; without, it reads four pixels, as OpenCV does. The two differ by up to 75 grey levels on a
    1080p photo, so the rule is the model's and not the caller's choice.
    """

    mode: ResizeMode = "stretch"
    antialias: bool = True
    pad: int = 114

    def __post_init__(self) -> None:
        _one_of("resize mode", self.mode, get_args(ResizeMode))
        if not 0 <= self.pad <= 255:
            raise ContractError(f"The letterbox padding is {self.pad}.", "Give a grey level from 0 to 255.")


@dataclass(frozen=True)
class ModelContract:
    """Everything between pixels and boxes that the weights do not say.

    Attributes:
        input_size: height and width of the network's input, in pixels.
        input_name: the image tensor, float32 (N, 3, height, width).
        output_form: `detections` (labels, boxes in original pixels, scores; the sizes go in as (N, 2) width, height)
            or `raw` (logits (N, queries, classes) before the sigmoid, boxes (N, queries, 4) as cx, cy, w, h in 0..1).
        outputs: role to tensor name; the roles are labels, boxes, scores, or logits, boxes.
        sizes_name: the tensor that takes the original sizes, where the form is `detections`.
        color: the order of the channels, `RGB` or `BGR`.
        scale: factor of a pixel's 0..255; the input is (pixel * scale - mean) / std.
        mean: by channel, in `color` order.
        std: the same.
        class_names: by label; empty where nobody knows them.
        top_k: how many rows a `raw` model's decoding keeps.
        source_sha256: hash of the checkpoint that the model was made from; empty where it is unknown.
        calibration: how the model was quantised, and on which photos; empty where it was not.
        assumed: names of the fields that were inferred, not read from the file.
    """

    input_size: tuple[int, int]
    input_name: str = "images"
    output_form: OutputForm = "detections"
    outputs: Mapping[str, str] | None = None
    sizes_name: str | None = "orig_target_sizes"
    resize: ResizeRule = field(default_factory=ResizeRule)
    color: ColorOrder = "RGB"
    scale: float = 1 / 255
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    class_names: tuple[str, ...] = ()
    top_k: int = 300
    family: str = "unknown"
    variant: str = "unknown"
    source_sha256: str = ""
    calibration: str = ""
    assumed: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _one_of("output form", self.output_form, get_args(OutputForm))
        _one_of("colour order", self.color, get_args(ColorOrder))
        if len(self.input_size) != 2 or min(self.input_size) < 1:
            raise ContractError(f"The input size is {self.input_size}.", "Give a height and a width of at least 1.")
        if len(self.mean) != 3 or len(self.std) != 3 or not all(value > 0 for value in self.std):
            raise ContractError(
                f"The mean is {self.mean} and the standard deviation {self.std}.",
                "Give three numbers each, and standard deviations above 0.",
            )
        if self.outputs is None:
            object.__setattr__(self, "outputs", {role: role for role in roles(self.output_form)})
        elif set(self.outputs) != set(roles(self.output_form)):
            raise ContractError(
                f"The outputs of a '{self.output_form}' model are {', '.join(roles(self.output_form))}, "
                f"but the contract names {', '.join(self.outputs) or 'none'}.",
                "Name one tensor for each role.",
            )

    def output(self, role: str) -> str:
        """Name of the tensor that plays `role`."""
        assert self.outputs is not None
        return self.outputs[role]

    def name_of(self, label: int) -> str:
        """Class name of `label`; `class 7` where the contract has no name for it."""
        return self.class_names[label] if 0 <= label < len(self.class_names) else f"class {label}"

    def replaced(self, **changes: Any) -> ModelContract:
        """A copy with `changes`; what is stated is no longer assumed."""
        return replace(self, **changes, assumed=tuple(name for name in self.assumed if name not in changes))

    def to_metadata(self) -> dict[str, str]:
        """The contract as text by key, ready for ONNX `metadata_props` or a manifest."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values["resize"] = vars(self.resize)
        return {PREFIX + "contract": str(FORMAT)} | {
            PREFIX + name: json.dumps(value, ensure_ascii=False) for name, value in values.items()
        }


def roles(form: OutputForm) -> tuple[str, ...]:
    """What the outputs of a model of that form are called here."""
    return ("labels", "boxes", "scores") if form == "detections" else ("logits", "boxes")


def contract_from_metadata(metadata: Mapping[str, str]) -> ModelContract | None:
    """Read the contract that `to_metadata` wrote; None where there is none.

    Raises:
        ContractError: there is one, but it is damaged or of a newer format.
    """
    version = metadata.get(PREFIX + "contract")
    if version is None:
        return None
    if version != str(FORMAT):
        raise ContractError(
            f"The model's contract has format {version}; this detrt reads format {FORMAT}.",
            "Update detrt (pip install -U detrt), or export the model again with this version.",
        )
    try:
        values = {
            field.name: json.loads(metadata[PREFIX + field.name])
            for field in fields(ModelContract)
            if PREFIX + field.name in metadata
        }
        values["resize"] = ResizeRule(**values.get("resize", {}))
        for name, value in values.items():
            if isinstance(value, list):
                values[name] = tuple(value)
        return ModelContract(**values)
    except (TypeError, ValueError, AttributeError) as error:
        raise ContractError(
            f"The model's contract cannot be read: {error}.",
            "Export the model again; its metadata was edited.",
        ) from error


def _one_of(what: str, value: str, accepted: tuple[str, ...]) -> None:
    if value not in accepted:
        raise ContractError(f"The {what} is '{value}'.", f"Use one of: {', '.join(accepted)}.")
