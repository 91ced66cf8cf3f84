"""The folder that everything goes below: what ends a run at once, and what only fails an item."""

import errno
import os
from pathlib import Path

import pytest

from transfer.model.errors import LocalFileError, TargetFolderError
from transfer.stores.local import folders
from transfer.stores.local.folders import open_root


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.EACCES, TargetFolderError),
        (errno.EROFS, TargetFolderError),
        (errno.EMFILE, LocalFileError),
        (errno.EIO, LocalFileError),
        (errno.ESTALE, LocalFileError),
    ],
)
def test_only_what_stays_so_is_a_matter_of_the_folder(
    number: int, kind: type[LocalFileError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(folders, "_make_root", refuse)
    with pytest.raises(LocalFileError) as caught:
        open_root(str(tmp_path))
    assert type(caught.value) is kind


@pytest.mark.parametrize("below", ["file", "file/new", "link"])
def test_what_is_no_folder_is_called_that(below: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("nowhere")
    with pytest.raises(TargetFolderError, match="not a directory"):
        open_root(str(tmp_path / below))
