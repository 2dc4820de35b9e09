"""Bring a published model onto this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from detrt.errors import DownloadError
from detrt.files import sha256_of
from detrt.models.download import download
from detrt.models.registry import PublishedModel, Source, cache_folder, find, pulled_record
from detrt.progress import Progress, silent


@dataclass(frozen=True)
class Pulled:
    """What came of it.

    Attributes:
        path: where the file lies.
        sha256: its hash.
        source: where it came from; None where it was here already.
        verified: whether the hash is one that was known beforehand.
        tested: whether it is the very file that detrt was tested with.
    """

    path: Path
    sha256: str
    source: Source | None
    verified: bool
    tested: bool


def pull(model: PublishedModel, folder: Path | None = None, *, progress: Progress = silent) -> Pulled:
    """Download the model unless it is here, trying its sources in order.

    Args:
        model: from the registry.
        folder: where it goes; the cache where it is None.
        progress: told the bytes so far.

    Raises:
        DownloadError: no source gave the file; tells of each.
    """
    folder = folder or cache_folder()
    if here := find(model, None if folder == cache_folder() else [folder]):
        return _pulled(model, here, sha256_of(here), None)
    failures: list[DownloadError] = []
    for source in model.sources:
        path = folder / model.file
        try:
            digest = download(source.url, path, sha256=source.sha256, progress=progress)
        except DownloadError as error:
            failures.append(error)
            continue
        pulled_record(path).write_text(f"{digest}  {model.file}  {source.url}\n", "ascii")
        return _pulled(model, path, digest, source)
    if len(failures) == 1:
        raise failures[0]
    raise DownloadError(
        f"None of the {len(failures)} sources of {model.name} gave the file: "
        + " ".join(failure.problem for failure in failures),
        failures[-1].remedy if failures else f"Put {model.file} into a folder, and name that folder in DETRT_MODELS.",
    )


def _pulled(model: PublishedModel, path: Path, digest: str, source: Source | None) -> Pulled:
    return Pulled(path, digest, source, digest in model.known_sha256, digest == model.sha256)
