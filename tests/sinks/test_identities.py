"""identities.json, the vectors beside it, and the thumbnails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest

from reidpipe.errors import SinkError
from reidpipe.schemas import load_schema
from reidpipe.sinks.identities import write_identities
from reidpipe.sinks.thumbnails import ThumbnailKeeper
from reidpipe.types import Link, TrackKey
from tests.sinks.results import result, tracklet

TRACKLETS = [
    tracklet("b", 1, [1, 1, 0], 5.0, 9.0, quality=0.25),
    tracklet("a", 2, [0, 0, 1], 1.0, 2.0),
    tracklet("a", 1, [9, 9, 9], 0.0, 0.5),  # an earlier state of the next one
    tracklet("a", 1, [1, 0, 0], 0.0, 3.1234567, quality=0.75),
    tracklet("a", 9, [0, 1, 0], 0.0, 1.0),  # nobody decided about it
]
LINKS = [
    Link(TrackKey("a", 1), 2, 0.5, 1.0),
    Link(TrackKey("a", 1), 1, 0.9, 2.0, previous=2),
    Link(TrackKey("b", 1), 1, 0.87654321, 9.0),
    Link(TrackKey("a", 2), 2, 1.0, 2.0),
]


def written(folder: Path, keeper: ThumbnailKeeper | None = None) -> dict[str, Any]:
    assert write_identities(folder, TRACKLETS, LINKS, thumbnails=keeper) == 2
    record: dict[str, Any] = json.loads((folder / "identities.json").read_text())
    jsonschema.Draft202012Validator(load_schema("identities")).validate(record)
    return record


def test_identities_hold_their_tracklets(tmp_path: Path) -> None:
    first, second = written(tmp_path)["identities"]
    assert first == {
        "global_id": 1,
        "first_s": 0.0,
        "last_s": 9.0,
        "cameras": ["a", "b"],
        "thumbnail": None,
        "thumbnails": {},
        "tracklets": [
            {
                "camera": "a", "track_id": 1, "first_s": 0.0, "last_s": 3.123457,
                "similarity": 0.9, "count": 5, "quality": 0.75,
            },
            {
                "camera": "b", "track_id": 1, "first_s": 5.0, "last_s": 9.0,
                "similarity": 0.8765, "count": 5, "quality": 0.25,
            },
        ],
    }  # fmt: skip
    assert [t["track_id"] for t in second["tracklets"]] == [2]


def test_identities_vectors_stand_in_the_same_order(tmp_path: Path) -> None:
    record = written(tmp_path)
    with np.load(tmp_path / record["vectors"], allow_pickle=False) as arrays:
        rows = [(i["global_id"], t["camera"], t["track_id"]) for i in record["identities"] for t in i["tracklets"]]
        assert list(zip(arrays["global_id"], arrays["camera"], arrays["track_id"], strict=True)) == rows
        assert arrays["vectors"].dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(arrays["vectors"], axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(arrays["vectors"][0], [1, 0, 0], atol=1e-6)
        assert arrays["identity_id"].tolist() == [1, 2]
        mean = 0.75 * np.array([1, 0, 0]) + 0.25 * np.array([1, 1, 0]) / np.sqrt(2)
        np.testing.assert_allclose(arrays["identity_vectors"][0], mean / np.linalg.norm(mean), atol=1e-6)


def test_identities_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        written(tmp_path / name)
    for file in ("identities.json", "identities.npz"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_identities_thumbnails_best_of_all_and_of_each_camera(tmp_path: Path) -> None:
    keeper = ThumbnailKeeper(tmp_path)
    keeper.update(result("a", 0, [(1, -1, (1, 1, 20, 30))], fill=50))
    keeper.update(result("b", 0, [(1, -1, (1, 1, 20, 45))], fill=150))
    first, second = written(tmp_path, keeper)["identities"]
    keeper.close()
    assert first["thumbnail"] == "thumbnails/1.jpg"
    assert first["thumbnails"] == {"a": "thumbnails/1-1.jpg", "b": "thumbnails/1.jpg"}
    assert [t["thumbnail"] for t in first["tracklets"]] == ["thumbnails/1-1.jpg", "thumbnails/1.jpg"]
    assert (second["thumbnail"], second["thumbnails"]) == (None, {})
    assert all("thumbnail" not in t for t in second["tracklets"])
    for camera, fill in (("a", 50), ("b", 150)):
        image = cv2.imread(str(tmp_path / first["thumbnails"][camera]))
        assert float(np.asarray(image).mean()) == pytest.approx(fill, abs=2)


def test_identities_say_the_names_that_there_are(tmp_path: Path) -> None:
    write_identities(tmp_path, TRACKLETS, LINKS, names={2: "Zoë", 9: "nobody here"})
    record = json.loads((tmp_path / "identities.json").read_text())
    jsonschema.Draft202012Validator(load_schema("identities")).validate(record)
    assert [one.get("name") for one in record["identities"]] == [None, "Zoë"]


def test_identities_of_nobody(tmp_path: Path) -> None:
    assert write_identities(tmp_path, [], []) == 0
    record = json.loads((tmp_path / "identities.json").read_text())
    jsonschema.Draft202012Validator(load_schema("identities")).validate(record)
    with np.load(tmp_path / "identities.npz", allow_pickle=False) as arrays:
        assert len(arrays["vectors"]) == len(arrays["identity_vectors"]) == 0


def test_identities_that_cannot_be_written_are_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(SinkError, match="cannot write"):
        write_identities(tmp_path / "file", TRACKLETS, LINKS)
