"""What the tensors of a model hold on real photos, and what rounding them to a narrow type would cost."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sized
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import onnx

from detrt.errors import GraphError, UsageError
from detrt.files import whole
from detrt.graph.probes import Probes
from detrt.progress import Progress, silent
from detrt.runtime.base import Array

Narrow = Literal["fp16", "bf16"]
FORMAT = 1


@dataclass(frozen=True)
class TensorRange:
    """Smallest and largest value of a tensor over every photo, and how many elements it had for one.

    `finite` is False where infinities were seen; `low` and `high` are then the largest float32 on that side.
    """

    low: float
    high: float
    elements: int
    finite: bool = True

    @property
    def absmax(self) -> float:
        """Largest magnitude."""
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True)
class NodeError:
    """What computing one node in the narrow type costs, its inputs being right.

    Attributes:
        noise: RMS error of the outputs, relative to their standard deviation, when inputs, constants and outputs are
            rounded to the narrow type and the arithmetic inside is float32, as on tensor cores.
        inner: largest sum of magnitudes inside a reduction; 0 for other nodes.
    """

    noise: float
    inner: float = 0.0


@dataclass(frozen=True)
class Ranges:
    """Ranges by tensor name and errors by node (`graph.index.key_of`), measured on `photos` feeds of one model."""

    model_sha256: str
    narrow: Narrow
    photos: int
    tensors: Mapping[str, TensorRange]
    nodes: Mapping[str, NodeError]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write as JSON."""
        with whole(path) as part:
            part.write_text(json.dumps({"format": FORMAT} | asdict(self), indent=1))

    def check_fits(self, model: onnx.ModelProto, narrow: Narrow) -> None:
        """Make sure that these are the ranges of that model, for that type.

        Raises:
            GraphError: they are another's.
        """
        if self.model_sha256 != hash_of(model) or self.narrow != narrow:
            raise GraphError(
                f"The ranges were measured for {self.narrow} on the model {self.model_sha256[:12]}, "
                f"but are used for {narrow} on {hash_of(model)[:12]}.",
                "Measure them again on this model.",
            )


def measure_ranges(
    model: onnx.ModelProto,
    feeds: Iterable[Mapping[str, Array]],
    *,
    narrow: Narrow = "fp16",
    progress: Progress = silent,
) -> Ranges:
    """Run the model on `feeds` in ONNX Runtime and measure every float32 tensor and node.

    The measuring is done by nodes added to the graph, so only scalars leave it and memory stays that of one run.

    Args:
        model: a float32 model.
        feeds: network inputs, one batch each; taken one at a time. Some 16 photos say enough.
        narrow: the type whose rounding is tried on each node.
        progress: told of each feed.

    Raises:
        UsageError: there are no feeds.
        GraphError: the model holds control flow or half-precision tensors.
        ModelError: ONNX Runtime cannot run the model on a feed.
    """
    probes = Probes(model, narrow)
    total = len(feeds) if isinstance(feeds, Sized) else None
    photos = 0
    for feed in feeds:
        probes.add(feed)
        photos += 1
        progress("Measuring ranges", photos, total)
    if not photos:
        raise UsageError("There is no photo to measure ranges on.", "Give at least one.")
    tensors = {name: TensorRange(*values) for name, values in probes.tensors()}
    nodes = {name: NodeError(*values) for name, values in probes.nodes()}
    return Ranges(hash_of(model), narrow, photos, tensors, nodes)


def load_ranges(path: str | os.PathLike[str]) -> Ranges:
    """Read what `Ranges.save` wrote.

    Raises:
        GraphError: the file is no such file.
    """
    try:
        record: dict[str, Any] = json.loads(Path(path).read_text())
        if record.pop("format") != FORMAT:
            raise ValueError("another format")
        record["tensors"] = {name: TensorRange(**values) for name, values in record["tensors"].items()}
        record["nodes"] = {name: NodeError(**values) for name, values in record["nodes"].items()}
        return Ranges(**record)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise GraphError(f"{path} holds no ranges that can be read: {error}.", "Measure them again.") from error


def hash_of(model: onnx.ModelProto) -> str:
    """Hex SHA-256 of what the model computes; its metadata does not count."""
    bare = onnx.ModelProto()
    bare.CopyFrom(model)
    del bare.metadata_props[:]
    return hashlib.sha256(bare.SerializeToString(deterministic=True)).hexdigest()
