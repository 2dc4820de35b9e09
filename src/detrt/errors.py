"""What can go wrong, as types.

Every message is two sentences: what is wrong, with the actual values, and what to do about it. The command line
prints both and maps the type to an exit code; a program catches `DetrtError`, or the one child that it can handle.
"""

from __future__ import annotations


class DetrtError(Exception):
    """Something detrt can name: `problem` says what is wrong, `remedy` what to do."""

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem, remedy)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        """Both sentences on one line."""
        return f"{self.problem} {self.remedy}"


class UsageError(DetrtError):
    """An option or argument that makes no sense, alone or beside the others."""


class MissingExtraError(DetrtError):
    """A feature needs an optional dependency that is not installed."""


class ImageError(DetrtError):
    """A photo or video that cannot be found, read or decoded."""


class ModelError(DetrtError):
    """A model file that cannot be found, read or run, or that gives results that cannot be."""


class ContractError(ModelError):
    """What a model expects or returns is unknown, contradictory or not what detrt can serve."""


class NonFiniteError(ModelError):
    """A model returned NaN or infinity."""


class CheckpointError(ModelError):
    """Weights that do not fit the variant, or a checkpoint of unknown make."""


class GraphError(ModelError):
    """A graph pass met a graph that its precondition does not hold for."""


class EngineError(ModelError):
    """An engine that cannot be built, or cannot run on this machine."""


class DatasetError(DetrtError):
    """Annotations that cannot be read, or do not fit the photos or the model."""


class DownloadError(DetrtError):
    """A download that failed, or whose content is not what was promised."""
