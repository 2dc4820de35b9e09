"""What the exit code of `detrt` says. docs/exit-codes.md is the user's copy; a test holds the two together."""

from __future__ import annotations

from detrt import errors

OK = 0
FAILED = 1
USAGE = 2  # the command-line library's own choice
SOME_SKIPPED = 3
IMAGE = 4
MODEL = 5
DATASET = 6
DOWNLOAD = 7
MISSING_EXTRA = 8
INTERRUPTED = 130

_CODES: tuple[tuple[type[errors.DetrtError], int], ...] = (
    (errors.UsageError, USAGE),
    (errors.ImageError, IMAGE),
    (errors.ModelError, MODEL),
    (errors.DatasetError, DATASET),
    (errors.DownloadError, DOWNLOAD),
    (errors.MissingExtraError, MISSING_EXTRA),
)


def of(error: errors.DetrtError) -> int:
    """The exit code that an error ends the command with."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), FAILED)
