import mimetypes

import pytest

from transfer.plan.content_types import guess_content_type


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("clip.mov", "video/quicktime"),
        ("A001.MXF", "application/mxf"),
        ("day 1/clip.mkv", "video/x-matroska"),
        ("page.html", "text/html"),
        ("photo.jpg", "image/jpeg"),
        ("data.json", "application/json"),
        ("page.html.gz", "application/gzip"),
        ("backup.tar.xz", "application/x-xz"),
        ("dir.html/file", None),
        (".html", None),
        ("noextension", None),
        ("what.unknown-thing", None),
        ("data:text/html,x.mov", "video/quicktime"),
    ],
)
def test_types_follow_the_name(name: str, expected: str | None) -> None:
    assert guess_content_type(name) == expected


def test_the_tables_of_the_machine_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    mimetypes.init()
    monkeypatch.setitem(mimetypes.types_map, ".machine-only", "x/y")
    assert guess_content_type("a.machine-only") is None
