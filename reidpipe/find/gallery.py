"""The people to search among: those of a run's folder, or of a store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from reidpipe.associate.store import Store
from reidpipe.associate.store_types import Kept, Run
from reidpipe.errors import ConfigError, ReidpipeError
from reidpipe.report.results import Person, read_people, read_run, read_vectors
from reidpipe.types import Ids, TrackKey, Tracklet, Vectors

if TYPE_CHECKING:
    from reidpipe.find.ranking import Match

__all__ = ["Candidate", "Gallery", "Sighting", "load_gallery", "load_store", "with_pictures"]

EACH = 50
"""Tracklets of each person that are compared and listed, the best of every camera first."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where and when somebody was: all stays at one camera.

    Attributes:
        camera: its name.
        first_s: beginning of the first stay, seconds as in the run.
        last_s: end of the last stay.
        stays: how many.
        run: number of the run, in a store; None: there is one only.
        run_s: when that run of recorded files was written, seconds since 1970; None: the times say when it was.
    """

    camera: str
    first_s: float
    last_s: float
    stays: int
    run: int | None = None
    run_s: float | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """One identity that may be the person looked for.

    Attributes:
        global_id: its number.
        sightings: one for each camera (in a store: of each run), in order of first appearance.
        thumbnail: a JPEG file, or its bytes, or None.
        name: what somebody called the identity, or None.
    """

    global_id: int
    sightings: tuple[Sighting, ...]
    thumbnail: Path | bytes | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Gallery:
    """People and what they look like. A run's folder makes one; anything else that knows people can.

    Attributes:
        source: what to call it in messages.
        model: the embedder that made the vectors, as the settings name it.
        people: the candidates.
        vectors: float32 ``(N, D)`` unit rows, any number for each candidate, at least one.
        owners: int64 ``(N,)`` row of ``people`` that each vector belongs to.
        cameras: int64 ``(N,)`` number of the camera that each vector comes from, any numbering from 0.
        sha256: of the embedder's file; empty when it is not known.
        pictures: one for each vector, or none at all: the JPEG file of that stay, or None.
        tracks: one for each vector, in a store: run and track.
    """

    source: str
    model: str
    people: tuple[Candidate, ...]
    vectors: Vectors
    owners: Ids
    cameras: Ids
    sha256: str = ""
    pictures: tuple[Path | None, ...] = ()
    tracks: tuple[tuple[int, TrackKey], ...] = ()

    def __post_init__(self) -> None:
        n = len(self.vectors)
        if self.vectors.ndim != 2 or self.owners.shape != (n,) or self.cameras.shape != (n,):
            raise ValueError(f"{n} vectors need as many owners and cameras")
        if not np.array_equal(np.unique(self.owners), np.arange(len(self.people))):
            raise ValueError("every candidate needs a vector, and every vector a candidate")

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return int(self.vectors.shape[1])


def load_gallery(folder: Path | str) -> Gallery:
    """The identities of a run: one vector for each of their stays.

    Args:
        folder: what ``reidpipe run`` wrote.

    Raises:
        ConfigError: the folder is missing, no run, or a run that found nobody.
        ReidpipeError: a file of the run is missing, damaged, or of a newer schema.
    """
    path = Path(folder)
    run = read_run(path)
    if not (path / "identities.json").exists():
        raise ConfigError(f"the run in {path} has no identities: its status is {run['status']}")
    people, name = read_people(path)
    if not people:
        raise ConfigError(f"the run in {path} found nobody, so there is nobody to compare with")
    facts = run.get("models", {}).get("embed", {})
    model = facts.get("name") or run["config"].get("embed", {}).get("model")
    if not isinstance(model, str):
        raise ReidpipeError(f"{path / 'run.json'} does not say which embedder made the vectors: run again")
    visits = [visit for person in people for visit in person.visits]
    numbers = {camera: number for number, camera in enumerate(sorted({visit.key.camera for visit in visits}))}
    return Gallery(
        source=str(path),
        model=model,
        people=tuple(_candidate(path, person) for person in people),
        vectors=read_vectors(path / name, people),
        owners=np.repeat(np.arange(len(people)), [len(person.visits) for person in people]).astype(np.int64),
        cameras=np.array([numbers[visit.key.camera] for visit in visits], np.int64),
        sha256=str(facts.get("sha256", "")),
        pictures=tuple(_inside(path, visit.thumbnail) for visit in visits),
    )


def load_store(path: Path | str) -> Gallery:
    """The identities of a store, without their pictures: see ``with_pictures``.

    Args:
        path: the file that ``reidpipe run --store`` wrote.

    Raises:
        ConfigError: the file is missing, no store, damaged, of a newer version, or holds nobody.
    """
    with Store.open(Path(path), readonly=True) as store, store.file.snapshot():
        kept = sorted(store.kept(each=EACH, prototypes=False), key=lambda k: k.global_id)
        names = store.names()
        runs = {run.number: run for run in store.runs()}
    if not kept:
        raise ConfigError(f"the store {path} holds nobody, so there is nobody to compare with")
    people = sorted({k.global_id for k in kept})
    numbers = {camera: number for number, camera in enumerate(sorted({k.tracklet.key.camera for k in kept}))}
    return Gallery(
        source=str(path),
        model=store.embedder,
        people=tuple(
            Candidate(global_id, _sightings(list(own), runs), None, names.get(global_id))
            for global_id, own in groupby(kept, key=lambda k: k.global_id)
        ),
        vectors=np.stack([k.tracklet.vector for k in kept]),
        owners=np.searchsorted(people, [k.global_id for k in kept]).astype(np.int64),
        cameras=np.array([numbers[k.tracklet.key.camera] for k in kept], np.int64),
        sha256=store.sha256,
        tracks=tuple((k.run, k.tracklet.key) for k in kept),
    )


def with_pictures(matches: Sequence[Match], gallery: Gallery, path: Path | str) -> list[Match]:
    """The matches, each with the picture that a store keeps of the track most like the photo, else the best picture.

    Raises:
        ConfigError: the store cannot be read.
    """
    with Store.open(Path(path), readonly=True) as store:
        return [
            replace(match, candidate=replace(match.candidate, thumbnail=_picture(store, match, gallery)))
            for match in matches
        ]


def _picture(store: Store, match: Match, gallery: Gallery) -> bytes | None:
    own = store.pictures(match.candidate.global_id)
    if not own:
        return None
    wanted = own.get(gallery.tracks[match.row])
    return wanted.jpeg if wanted is not None else max(own.values()).jpeg


def _inside(folder: Path, name: str | None) -> Path | None:
    """A file of a run, if that is what the name says."""
    if name is None or not (folder / name).resolve().is_relative_to(folder.resolve()):
        return None
    return folder / name


def _sightings(kept: Sequence[Kept], runs: Mapping[int, Run]) -> tuple[Sighting, ...]:
    """One for each camera of each run, the newest run first."""
    places: dict[tuple[int, str], list[Tracklet]] = {}
    for k in kept:
        places.setdefault((k.run, k.tracklet.key.camera), []).append(k.tracklet)
    found = [
        Sighting(
            camera,
            min(t.first_s for t in own),
            max(t.last_s for t in own),
            len(own),
            run=run,
            run_s=None if runs[run].live else runs[run].started_s,
        )
        for (run, camera), own in places.items()
    ]
    return tuple(sorted(found, key=lambda s: (-(s.run or 0), s.first_s, s.camera)))


def _candidate(folder: Path, person: Person) -> Candidate:
    sightings = []
    for camera in person.cameras:
        here = [visit for visit in person.visits if visit.key.camera == camera]
        first_s, last_s = min(visit.first_s for visit in here), max(visit.last_s for visit in here)
        sightings.append(Sighting(camera, first_s, last_s, len(here)))
    return Candidate(person.global_id, tuple(sightings), _inside(folder, person.thumbnail), person.name)
