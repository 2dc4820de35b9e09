"""What every runtime does: run an artefact on tensors. It knows nothing of images, boxes or COCO."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Protocol, runtime_checkable

import numpy.typing as npt

from detrt.signature import TensorSpec

Array = npt.NDArray[Any]


class Runtime(Protocol):
    """A loaded model: named tensors in, named tensors out.

    Attributes:
        name: what runs it, for people: `ONNX Runtime 1.31 (CPU)`.
        device: `cpu`, or `cuda:0` and the like.
        inputs: what `run` takes; a dynamic axis is None.
        outputs: what it returns.
        metadata: the text that travels with the model, `detrt.*` keys included.
    """

    @property
    def name(self) -> str: ...
    @property
    def device(self) -> str: ...
    @property
    def inputs(self) -> tuple[TensorSpec, ...]: ...
    @property
    def outputs(self) -> tuple[TensorSpec, ...]: ...
    @property
    def metadata(self) -> Mapping[str, str]: ...

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        """Run once on host arrays and return every output as a host array that the caller owns.

        Safe to call from several threads.

        Raises:
            ModelError: a feed is missing or has a shape or dtype that the model does not take, or the run failed.
        """
        ...

    def close(self) -> None:
        """Give device memory back. Nothing else may be called afterwards."""
        ...

    def __enter__(self) -> Runtime: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


@runtime_checkable
class WithinProfile(Protocol):
    """A runtime whose inputs have shapes within bounds.

    Attributes:
        profile: input name to its least, usual and greatest shape.
    """

    @property
    def profile(self) -> Mapping[str, tuple[tuple[int, ...], ...]]: ...


@runtime_checkable
class SplitsByCore(Protocol):
    """A runtime of whose runs as many as there are cores can go side by side, each on one thread.

    That is the way to the highest throughput on a CPU: threads of one run wait for each other, runs do not.
    """

    @property
    def device(self) -> str: ...

    def on_one_core(self) -> Runtime:
        """The same model, run by the calling thread alone; closed with this one."""
        ...
