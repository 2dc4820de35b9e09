"""The models that a workflow makes, and where in the output folder each thing about them lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from detrt.workflow.options import NARROW, Precision, WorkflowOptions

Form = Literal["onnx", "engine"]

MODEL = "model.onnx"
PHOTOS = "calibration/photos.json"
ONNX_TIMES = "measured/onnx.times.json"
ENGINE_TIMES = "measured/engine.times.json"


@dataclass(frozen=True)
class Artefact:
    """A model that could ship: an ONNX file or an engine, at one precision. All paths are within the output folder."""

    precision: Precision
    form: Form

    @property
    def name(self) -> str:
        """For people, and for the names of its steps: `int8 engine`."""
        return f"{self.precision} {'ONNX' if self.form == 'onnx' else 'engine'}"

    @property
    def file(self) -> str:
        """The model."""
        if self.form == "engine":
            return f"model.{self.precision}.engine"
        return onnx_file(self.precision)

    @property
    def scores(self) -> str:
        """COCO's figures."""
        return f"measured/{self.precision}.{self.form}.scores.json"

    @property
    def detections(self) -> str:
        """What it found in every photo."""
        return f"measured/{self.precision}.{self.form}.npz"

    @property
    def comparison(self) -> str:
        """What it finds otherwise than the model that it was made from."""
        return f"measured/{self.precision}.{self.form}.comparison.json"

    @property
    def profile(self) -> str:
        """A folder of TensorRT's JSON files, as `detrt profile` reads it."""
        return f"profile/{self.precision}"


REFERENCE = Artefact("fp32", "onnx")
"""The model as it came: everything is compared with it."""


def onnx_file(precision: Precision) -> str:
    """The ONNX file that an engine of that precision is built from."""
    return f"model.{precision}.onnx" if precision in NARROW else MODEL


def onnx_artefacts(options: WorkflowOptions) -> list[Artefact]:
    """The reference, and a quantised model for each narrow precision."""
    return [REFERENCE, *(Artefact(precision, "onnx") for precision in options.narrow)]


def engine_artefacts(options: WorkflowOptions) -> list[Artefact]:
    """An engine for each precision."""
    return [Artefact(precision, "engine") for precision in options.precisions]


def explanation(precision: Precision) -> str:
    """Where a quantised model's tensors part from the float model's."""
    return f"measured/{precision}.tensors.json"


def quantization(precision: Precision) -> str:
    """What `detrt quantize` tells of its result."""
    return f"model.{precision}.json"
