"""Finding a person: who is meant, who is most alike, how sure that is, and the sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from reidpipe.errors import ConfigError, ReidpipeError, SinkError
from reidpipe.find import Candidate, Gallery, Photo, Sighting, choose_person, load_gallery, rank, write_sheet
from reidpipe.find.photo import open_photo
from reidpipe.find.sheet import draw_sheet
from reidpipe.types import Boxes, Detections, Image, Vectors
from tests.report.runs import looks, write_run

STAYS = [(1, "gate", 0.0, 8.0), (2, "gate", 1.0, 9.0), (1, "lobby", 20.0, 30.0), (3, "lobby", 25.0, 50.0)]


class Sees:
    """A detector that says the same of every picture."""

    def __init__(self, *boxes: tuple[float, float, float, float], score: float = 0.9) -> None:
        self._boxes = np.array(boxes, np.float32).reshape(-1, 4)
        self._scores = np.full(len(boxes), score, np.float32)

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        return [Detections(self._boxes, self._scores) for _ in images]


class MeanColour:
    """An embedder: the mean colour of the box."""

    dim = 3

    def embed(self, images: Sequence[Image], boxes: Sequence[Boxes]) -> list[Vectors]:
        x1, y1, x2, y2 = boxes[0][0].astype(int)
        colour = images[0][y1:y2, x1:x2].reshape(-1, 3).mean(axis=0)
        return [np.asarray(colour / np.linalg.norm(colour), np.float32)[None]]


def photo_file(path: Path, *, width: int = 60, height: int = 80) -> Path:
    image = np.full((height, width, 3), 40, np.uint8)
    image[:, width // 2 :] = (0, 0, 250)
    cv2.imwrite(str(path), image)
    return path


def gallery(people: int, *, each: int = 3, noise: float = 0.4, seed: int = 3) -> Gallery:
    """So many people with so many vectors each, from two cameras."""
    base = looks(people, seed=seed)
    vectors = np.repeat(base, each, axis=0) + noise * looks(people * each, seed=seed + 1)
    return Gallery(
        "test",
        "osnet",
        tuple(Candidate(i + 1, (Sighting("gate", 0.0, 1.0, each),)) for i in range(people)),
        np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32),
        np.repeat(np.arange(people), each),
        np.arange(people * each) % 2,
    )


def test_find_gallery_of_a_run(tmp_path: Path) -> None:
    found = load_gallery(write_run(tmp_path, STAYS))
    assert [who.global_id for who in found.people] == [1, 2, 3]
    assert found.owners.tolist() == [0, 0, 1, 2]
    assert found.model == "osnet_x0_25"
    assert found.people[0].sightings == (Sighting("gate", 0.0, 8.0, 1), Sighting("lobby", 20.0, 30.0, 1))
    assert isinstance(found.people[0].thumbnail, Path)
    assert found.people[0].thumbnail.is_file()


def test_find_refuses_runs_that_hold_nobody(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="found nobody"):
        load_gallery(write_run(tmp_path / "empty", [], cameras=("gate",)))
    with pytest.raises(ConfigError, match="holds no run"):
        load_gallery(tmp_path)
    run = write_run(tmp_path / "run", STAYS)
    (run / "identities.npz").write_bytes(b"PK")
    with pytest.raises(ReidpipeError, match="damaged"):
        load_gallery(run)


def test_find_gallery_checks_that_its_parts_belong_together() -> None:
    whole = gallery(2)
    with pytest.raises(ValueError, match="as many owners"):
        Gallery("x", "m", whole.people, whole.vectors, whole.owners[:-1], whole.cameras)
    with pytest.raises(ValueError, match="every candidate"):
        Gallery("x", "m", whole.people, whole.vectors, np.zeros(6, np.int64), whole.cameras)


def test_find_puts_the_likeliest_first() -> None:
    known = gallery(30)
    matches = rank(known.vectors[20], known)
    assert matches[0].candidate.global_id == 7
    assert matches[0].similarity == pytest.approx(1.0, abs=1e-6)
    chances = [match.probability for match in matches]
    assert chances == sorted(chances, reverse=True)
    assert len(matches) == 30
    cosines = known.vectors[18:21] @ known.vectors[20]
    mean = known.vectors[18:21].mean(axis=0)
    assert matches[0].mean_similarity == pytest.approx(float(mean @ known.vectors[20] / np.linalg.norm(mean)), abs=1e-5)
    assert matches[0].similarity == pytest.approx(float(cosines.max()), abs=1e-6)


def test_find_probability_knows_the_person_from_a_stranger() -> None:
    known = gallery(30)
    own = looks(30, seed=3)[6] + 0.3 * looks(1, seed=77)[0]
    someone = rank(np.asarray(own / np.linalg.norm(own), np.float32), known)
    assert someone[0].candidate.global_id == 7
    assert someone[0].probability > 0.8
    stranger = rank(looks(1, seed=1234)[0], known)
    assert sum(match.probability for match in stranger) < 0.5
    for matches in (someone, stranger):
        assert all(0 <= match.probability <= 1 for match in matches)
        assert sum(match.probability for match in matches) <= 1 + 1e-9


def test_find_probability_follows_the_prior() -> None:
    known = gallery(10)
    query = known.vectors[0]
    chances = [rank(query, known, present=present)[0].probability for present in (0.0, 0.2, 0.9)]
    assert chances[0] == 0
    assert chances[0] < chances[1] < chances[2]


def test_find_in_a_gallery_of_one() -> None:
    known = gallery(1, each=1)
    (match,) = rank(known.vectors[0], known)
    assert match.similarity == pytest.approx(1.0, abs=1e-6)
    assert 0 < match.probability <= 1


def test_find_refuses_vectors_of_another_length() -> None:
    with pytest.raises(ValueError, match="32 numbers"):
        rank(np.array([1, 0, 0], np.float32), gallery(3))


def test_find_takes_the_only_person(tmp_path: Path) -> None:
    photo = choose_person(photo_file(tmp_path / "p.png"), Sees((30, 0, 60, 80)))
    assert photo.box.tolist() == [30, 0, 60, 80]
    assert photo.crop.shape == (80, 30, 3)
    np.testing.assert_allclose(photo.vector(MeanColour()), [0, 0, 1], atol=1e-6)


def test_find_asks_which_of_several_from_left_to_right(tmp_path: Path) -> None:
    path, detector = photo_file(tmp_path / "p.png"), Sees((35, 5, 55, 75), (2, 5, 20, 75))
    with pytest.raises(ConfigError) as caught:
        choose_person(path, detector)
    assert "shows 2 people: say which with --person N or --box" in str(caught.value)
    assert "1 at 2,5,20,75; 2 at 35,5,55,75" in str(caught.value)
    assert choose_person(path, detector, person=2).box.tolist() == [35, 5, 55, 75]
    with pytest.raises(ConfigError, match="no --person 3"):
        choose_person(path, detector, person=3)
    with pytest.raises(ConfigError, match="no --person 0"):
        choose_person(path, detector, person=0)


@pytest.mark.parametrize("detector", [Sees(), Sees((1, 1, 9, 9), score=0.2)])
def test_find_says_when_nobody_is_there(tmp_path: Path, detector: Sees) -> None:
    with pytest.raises(ConfigError, match=r"nobody was found in .*whole picture is 0,0,60,80"):
        choose_person(photo_file(tmp_path / "p.png"), detector)


def test_find_box_needs_no_detector_and_stays_inside(tmp_path: Path) -> None:
    path = photo_file(tmp_path / "p.png")
    assert choose_person(path, None, box=(-10, 5, 30, 500)).box.tolist() == [0, 5, 30, 80]
    for box, message in (
        ((30, 5, 10, 50), "x2 above x1"),
        ((100, 0, 120, 50), "lies outside"),
        ((0, 0, float("nan"), 5), "x2 above x1"),
    ):
        with pytest.raises(ConfigError, match=message):
            choose_person(path, None, box=box)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n broken"])
def test_find_refuses_files_that_are_no_pictures(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.jpg").write_bytes(content)
    with pytest.raises(ConfigError, match="no picture that can be read"):
        open_photo(tmp_path / "p.jpg")
    with pytest.raises(ConfigError, match="cannot read the photo"):
        open_photo(tmp_path / "gone.jpg")


def test_find_sheet_shows_the_photo_and_the_matches(tmp_path: Path) -> None:
    found = load_gallery(write_run(tmp_path / "run", STAYS))
    photo = Photo(Path("p.png"), open_photo(photo_file(tmp_path / "p.png")), np.array([30, 0, 60, 80], np.float32))
    matches = rank(found.vectors[0], found)
    sheet = draw_sheet(photo, matches)
    assert sheet.shape[1] > 4 * 170  # the photo and three people side by side
    assert (sheet == (0, 0, 250)).all(axis=2).sum() > 5000  # the photo's red half
    write_sheet(tmp_path / "sheet.jpg", photo, matches)
    assert open_photo(tmp_path / "sheet.jpg").shape == sheet.shape
    with pytest.raises(ConfigError, match="ends in"):
        write_sheet(tmp_path / "sheet.txt", photo, matches)
    (tmp_path / "file").write_text("x")
    with pytest.raises(SinkError, match="cannot write"):
        write_sheet(tmp_path / "file" / "sheet.png", photo, matches)


def test_find_sheet_takes_thumbnails_from_memory_and_does_without(tmp_path: Path) -> None:
    image = np.full((60, 30, 3), (10, 200, 10), np.uint8)
    known = gallery(2)
    jpeg = bytes(cv2.imencode(".png", image)[1])
    people = (Candidate(1, known.people[0].sightings, jpeg, name="Zoë <3 " + "x" * 80), known.people[1])
    named = Gallery("store", "osnet", people, known.vectors, known.owners, known.cameras)
    photo = Photo(Path("p.png"), np.full((60, 30, 3), 128, np.uint8), np.array([0, 0, 30, 60], np.float32))
    sheet = draw_sheet(photo, rank(known.vectors[0], named))
    assert (sheet == (10, 200, 10)).all(axis=2).sum() > 5000
