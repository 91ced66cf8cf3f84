import pytest

from transfer.model.errors import UsageError
from transfer.model.locations import S3Location
from transfer.plan.naming import download_name, folder_prefix, local_name, tree_key, tree_relative, upload_key


@pytest.mark.parametrize(
    ("destination", "source", "key"),
    [
        ("", "clip.mov", "clip.mov"),
        ("raw/", "clip.mov", "raw/clip.mov"),
        ("raw/", "card/day1/clip.mov", "raw/clip.mov"),
        ("raw", "clip.mov", "raw"),
        ("raw/other.mov", "clip.mov", "raw/other.mov"),
    ],
)
def test_one_file_keeps_its_name_only_in_a_folder(destination: str, source: str, key: str) -> None:
    assert upload_key(S3Location("b", destination), source) == key


def test_a_source_without_a_name_needs_a_whole_key() -> None:
    with pytest.raises(UsageError, match="whole destination key"):
        upload_key(S3Location("b", "raw/"), "marker/")
    assert upload_key(S3Location("b", "raw/x"), "marker/") == "raw/x"


@pytest.mark.parametrize(
    ("destination", "key"), [("", "d/a.mov"), ("photos", "photos/d/a.mov"), ("photos/", "photos/d/a.mov")]
)
def test_a_tree_goes_below_its_destination(destination: str, key: str) -> None:
    assert tree_key(S3Location("b", destination), "d/a.mov") == key
    assert tree_relative(key, destination) == "d/a.mov"


def test_a_prefix_never_means_its_longer_neighbour() -> None:
    assert folder_prefix("photos") == "photos/"
    with pytest.raises(ValueError, match="photos2"):
        tree_relative("photos2/a.jpg", "photos")


def test_the_marker_of_the_tree_itself_has_no_relative_name() -> None:
    assert tree_relative("photos/", "photos") == ""


def test_names_are_last_components() -> None:
    assert download_name("a/b/c.mov") == "c.mov"
    assert download_name("c.mov") == "c.mov"
    assert download_name("a/") == ""
    assert local_name("a/b/c.mov") == "c.mov"
