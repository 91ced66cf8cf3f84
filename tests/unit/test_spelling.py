import os
from pathlib import Path

from transfer.stores.local.spelling import folds_names, lock_of_name, spelling_on_disk


def test_a_folder_is_tried_and_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "Probe").write_bytes(b"")
    expected = (tmp_path / "pROBE").exists()
    assert folds_names(str(tmp_path)) is expected
    assert [path.name for path in tmp_path.iterdir()] == ["Probe"]
    assert folds_names(str(tmp_path / "missing")) is False


def test_names_are_spelled_as_the_disk_has_them(tmp_path: Path) -> None:
    (tmp_path / "Dir").mkdir()
    (tmp_path / "Dir/File").write_bytes(b"")
    assert spelling_on_disk(str(tmp_path), "Dir/File") == "Dir/File"
    if not folds_names(str(tmp_path)):
        # Two names of one file, which this disk tells apart.
        os.link(tmp_path / "Dir/File", tmp_path / "Dir/file")
        assert spelling_on_disk(str(tmp_path), "Dir/file") == "Dir/file"
    else:
        assert spelling_on_disk(str(tmp_path), "dir/FILE") == "Dir/File"


def test_names_that_a_disk_may_take_for_one_share_a_lock() -> None:
    for one, other in [("A.txt", "a.TXT"), ("caf\u00e9", "cafe\u0301"), ("STRASSE", "stra\u00dfe")]:
        assert lock_of_name(one) is lock_of_name(other)
