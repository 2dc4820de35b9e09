"""Files that are whole or not there at all, and what names and identifies them."""

from __future__ import annotations

import errno
import hashlib
import os
import tempfile
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from detrt.errors import UsageError

Name = str | os.PathLike[str]
PART = ".part"

_NAMELESS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)  # what writing to an open file raises


@contextmanager
def whole(path: Name) -> Iterator[Path]:
    """A temporary path beside `path` that takes its name once the block ends well, and vanishes where it does not."""
    final = Path(path)
    final.parent.mkdir(parents=True, exist_ok=True)
    with naming(final):
        handle, name = tempfile.mkstemp(prefix=f".{final.name[:50]}.", suffix=PART, dir=final.parent)
        os.close(handle)
        part = Path(name)
        try:
            yield part
            part.chmod(0o666 & ~_umask())  # mkstemp makes it private; a result is shared as any other file
            part.replace(final)
        finally:
            part.unlink(missing_ok=True)


def save_json(path: Name, content: Mapping[str, Any]) -> None:
    """Write it, indented, as JSON that is whole or not there."""
    import orjson  # what starts without writing need not wait for it

    with whole(path) as part:
        part.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2) + b"\n")


@contextmanager
def naming(path: Name) -> Iterator[None]:
    """Let an `OSError` name the file that is written, and not the temporary one behind it, or none as a full disk's."""
    try:
        yield
    except OSError as error:
        if str(error.filename).endswith(PART) or (error.filename is None and error.errno in _NAMELESS):
            error.filename, error.filename2 = os.fspath(path), None
        raise


def refuse_output(path: Name | None, *, inputs: Iterable[Name | None] = (), suffixes: Collection[str] = ()) -> None:
    """Fail before the work whose result could not be written to `path`, or would do harm or be of no use there.

    Args:
        path: of the result; None where none is to be written.
        inputs: files that are read, and must not be lost; None stands for one that was not given.
        suffixes: by which the result is known for what it is, the most usual one first; none where any name will do.

    Raises:
        UsageError: it is one of `inputs`, or ends in none of `suffixes`.
        OSError: as `whole` would.
    """
    if path is not None:
        _refuse_suffix(Path(path), suffixes)
        refuse_to_replace([given for given in inputs if given is not None], path)
        refuse_unwritable(path)


def refuse_to_replace(inputs: Iterable[Name], path: Name) -> None:
    """Fail before a file is written that is one of those that it is made of, under this name or another.

    Raises:
        UsageError: it is one of `inputs`.
    """
    final = Path(path)
    if final.exists() and any(given.exists() and given.samefile(final) for given in map(Path, inputs)):
        raise UsageError(
            f"{name_of(final)} is read, and would be lost when the result is written there.",
            "Give the result another name, or another folder.",
        )


def refuse_unwritable(path: Name) -> None:
    """Fail before long work whose result could not be written to `path` as that fails after it.

    Raises:
        OSError: as `whole` would.
    """
    final = Path(path)
    if final.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(final))
    final.parent.mkdir(parents=True, exist_ok=True)
    with naming(final), tempfile.TemporaryFile(suffix=PART, dir=final.parent):
        pass


def stamp_of(path: Path) -> str:
    """Tells a file from others and from itself before it was changed, without reading it."""
    stat = path.stat()
    name = path.name.encode(errors="backslashreplace").decode()  # text that any output takes, and no other file's
    return f"{name}|{stat.st_size}|{stat.st_mtime_ns}"


def name_of(path: Path) -> str:
    """A path as text that any output takes, also where it holds bytes that are no UTF-8, as file names may."""
    return os.fsencode(path).decode("utf-8", "replace")


def sha256_of(path: Name) -> str:
    """Hex SHA-256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with Path(path).open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _refuse_suffix(path: Path, suffixes: Collection[str]) -> None:
    if suffixes and path.suffix not in suffixes:
        raise UsageError(
            f"{name_of(path)} does not end in {' or '.join(suffixes)}, by which it would be known for what it is.",
            f"Call it {name_of(Path(path.stem))}{next(iter(suffixes))}.",
        )


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
