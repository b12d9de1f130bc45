"""Who was split, who was merged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reidpipe.errors import ConfigError
from reidpipe.evaluate.confusions import find_confusions, write_confusions


def write(path: Path, rows: list[tuple[int, int, int]]) -> Path:
    """Rows of frame, id, left edge."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(f"{f},{i},{x},10,20,40,1,1,1" for f, i, x in rows) + "\n")
    return path


def two_cameras(folder: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Person 1 is id 7 in a and id 8 in b; person 2 is id 9 in a, and id 8 too for half of b."""
    truth = {
        "a": write(folder / "truth/a.txt", [(f, p, 100 * p) for f in range(1, 11) for p in (1, 2)]),
        "b": write(folder / "truth/b.txt", [(f, 1, 100) for f in range(1, 11)] + [(f, 2, 200) for f in range(11, 21)]),
    }
    result = {
        "a": write(
            folder / "out/mot/a.txt", [(f, 6 + 1, 100) for f in range(1, 11)] + [(f, 9, 200) for f in range(1, 11)]
        ),
        "b": write(
            folder / "out/mot/b.txt", [(f, 8, 100) for f in range(1, 11)] + [(f, 8, 200) for f in range(11, 21)]
        ),
    }
    return truth, result


def test_confusions_name_who_was_split_and_who_was_merged(tmp_path: Path) -> None:
    found = find_confusions(*two_cameras(tmp_path))
    assert {person: [p.global_id for p in parts] for person, parts in found.split.items()} == {1: [7, 8], 2: [8, 9]}
    assert {i: [(p.person, p.total) for p in parts] for i, parts in found.merged.items()} == {8: [(1, 10), (2, 10)]}
    assert found.split[1][0].boxes == {"a": 10}
    assert found.scores.purity == pytest.approx(0.75)
    assert found.scores.pair_f1 == 0.0


def test_confusions_of_a_perfect_result_are_none(tmp_path: Path) -> None:
    truth, _ = two_cameras(tmp_path)
    found = find_confusions(truth, truth)
    assert (found.split, found.merged) == ({}, {})
    assert found.scores.pair_f1 == 1.0


def test_confusions_page_shows_the_thumbnails_of_the_run(tmp_path: Path) -> None:
    truth, result = two_cameras(tmp_path)
    (tmp_path / "out/8.jpg").write_bytes(b"jpeg!")
    listing = {"identities": [{"global_id": 8, "thumbnails": {"b": "8.jpg", "a": "gone.jpg"}}]}
    (tmp_path / "out/identities.json").write_text(json.dumps(listing))
    write_confusions(tmp_path / "page.html", find_confusions(truth, result), run=tmp_path / "out")
    page = (tmp_path / "page.html").read_text()
    assert "Person 1 has 2 ids" in page
    assert "Id 8 is 2 people" in page
    assert page.count("data:image/jpeg;base64,anBlZyE=") == 4


def test_confusions_refuse_other_cameras(tmp_path: Path) -> None:
    truth, result = two_cameras(tmp_path)
    with pytest.raises(ConfigError, match="same cameras"):
        find_confusions(truth, {"a": result["a"]})
