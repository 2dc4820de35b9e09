"""Run an artefact on tensors: one protocol, one module a runtime, opened by suffix."""

from detrt.runtime.base import Runtime
from detrt.runtime.open import open_runtime

__all__ = ["Runtime", "open_runtime"]
