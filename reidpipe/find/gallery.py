"""The people to search among, wherever they were kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reidpipe.errors import ConfigError, ReidpipeError
from reidpipe.report.results import Person, read_people, read_run, read_vectors
from reidpipe.types import Ids, Vectors

__all__ = ["Candidate", "Gallery", "Sighting", "load_gallery"]


@dataclass(frozen=True, slots=True)
class Sighting:
    """Where and when somebody was: all stays at one camera.

    Attributes:
        camera: its name.
        first_s: beginning of the first stay, seconds as in the run.
        last_s: end of the last stay.
        stays: how many.
    """

    camera: str
    first_s: float
    last_s: float
    stays: int


@dataclass(frozen=True, slots=True)
class Candidate:
    """One identity that may be the person looked for.

    Attributes:
        global_id: its number.
        sightings: one for each camera, in order of first appearance.
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
    """

    source: str
    model: str
    people: tuple[Candidate, ...]
    vectors: Vectors
    owners: Ids
    cameras: Ids

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
    model = run["config"].get("embed", {}).get("model")
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
    )


def _candidate(folder: Path, person: Person) -> Candidate:
    sightings = []
    for camera in person.cameras:
        here = [visit for visit in person.visits if visit.key.camera == camera]
        first_s, last_s = min(visit.first_s for visit in here), max(visit.last_s for visit in here)
        sightings.append(Sighting(camera, first_s, last_s, len(here)))
    thumbnail = None
    if person.thumbnail and (folder / person.thumbnail).resolve().is_relative_to(folder.resolve()):
        thumbnail = folder / person.thumbnail
    return Candidate(person.global_id, tuple(sightings), thumbnail, person.name)
