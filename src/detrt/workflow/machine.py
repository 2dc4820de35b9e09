"""What the machine that the workflow runs on can do."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from detrt.benchmark.machine import this_machine
from detrt.engine.flavour import Flavour, find
from detrt.errors import DetrtError, MissingExtraError
from detrt.runtime.cuda import first_gpu


@dataclass(frozen=True)
class Abilities:
    """What is here, and what follows from it.

    Attributes:
        title: its GPU, or its processor.
        facts: the title and the driver, as what is timed here depends on.
        gpu: name; None where there is none.
        tensorrt: name and version; None where there is none.
        no_tensorrt: why there is none.
        builds_without_gpu: whether that TensorRT does.
    """

    title: str
    facts: str
    gpu: str | None
    tensorrt: str | None
    no_tensorrt: str = ""
    builds_without_gpu: bool = False

    @property
    def cannot_build(self) -> str:
        """Why no engine can be built here; empty where one can."""
        if self.tensorrt is None:
            return self.no_tensorrt
        return "" if self.gpu or self.builds_without_gpu else f"{self.tensorrt} builds on a GPU, and there is none here"

    @property
    def cannot_run_engines(self) -> str:
        """Why no engine can run here; empty where one can."""
        return self.no_tensorrt if self.gpu and self.tensorrt is None else "" if self.gpu else "there is no GPU here"

    def without(self, module: str, extra: str) -> str:
        """Why a step that needs `module` cannot be done; empty where it is installed."""
        if importlib.util.find_spec(module):
            return ""
        return f"it needs the package '{module}', which is not here: pip install 'detrt[{extra}]'"


def abilities() -> Abilities:
    """Look at this machine."""
    facts = this_machine().facts
    title = facts.get("gpu") or f"{facts['cpu']}, {facts['cores']} cores"
    flavour, reason = _tensorrt()
    gpu = first_gpu()
    return Abilities(
        title=title,
        facts=" ".join([title, facts.get("driver_version", "")]).strip(),
        gpu=gpu.name if gpu else None,
        tensorrt=str(flavour) if flavour else None,
        no_tensorrt=reason,
        builds_without_gpu=bool(flavour and flavour.is_rtx),
    )


def _tensorrt() -> tuple[Flavour | None, str]:
    try:
        return find(), ""
    except MissingExtraError:
        return None, "there is no TensorRT here that can be imported: pip install 'detrt[rtx]'"
    except DetrtError as error:
        return None, str(error)
