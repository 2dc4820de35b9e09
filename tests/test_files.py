"""Files that are whole or not there at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from detrt.errors import UsageError
from detrt.files import refuse_to_replace, whole


def test_what_cannot_be_written_is_named_and_no_temporary_file(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(IsADirectoryError) as of_place, whole(tmp_path / "folder"):
        pass
    with pytest.raises(OSError, match="disk full") as of_disk, whole(tmp_path / "file"):
        raise OSError(errno.ENOSPC, "disk full")
    assert (of_place.value.filename, of_place.value.filename2) == (str(tmp_path / "folder"), None)
    assert of_disk.value.filename == str(tmp_path / "file")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_name_of_most_letters_can_be_written(tmp_path: Path) -> None:
    name = 255 * "n"
    with whole(tmp_path / name) as part:
        part.write_text("whole")
    assert (tmp_path / name).read_text() == "whole"


def test_a_file_is_known_by_any_of_its_names(tmp_path: Path) -> None:
    (tmp_path / "photo").touch()
    (tmp_path / "symbolic").symlink_to("photo")
    os.link(tmp_path / "photo", tmp_path / "hard")
    for name in ("photo", "symbolic", "hard", "../" + tmp_path.name + "/photo"):
        with pytest.raises(UsageError, match="is read, and would be lost"):
            refuse_to_replace([tmp_path / "not there", tmp_path / "photo"], tmp_path / name)
    (tmp_path / "other").touch()
    refuse_to_replace([tmp_path / "photo"], tmp_path / "other")
    refuse_to_replace([tmp_path / "photo"], tmp_path / "new")
