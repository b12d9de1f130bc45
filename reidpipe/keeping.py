"""What a run has to do with the store of people known before: open it, forget who is due, write who was seen."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from reidpipe.associate.diary import Album
from reidpipe.associate.store import Store
from reidpipe.associate.store_care import check, expire
from reidpipe.associate.store_file import QUICK_CHECK_BYTES
from reidpipe.associate.store_types import Picture
from reidpipe.config import Config
from reidpipe.errors import ConfigError
from reidpipe.progress import Progress
from reidpipe.sinks.thumbnails import ThumbnailKeeper
from reidpipe.stages import Embedder
from reidpipe.types import TrackKey, Tracklet
from reidpipe.weights import model_sha256, resolve

__all__ = ["Keeping", "keep_people", "model_facts", "run_note"]


def model_facts(config: Config) -> dict[str, dict[str, str]]:
    """Which files the nets of a run come from: stage -> ``name`` and ``sha256``.

    A detector that ultralytics fetches by itself has no sha256 here.

    Raises:
        WeightsError: the embedder is missing.
    """
    found = {"embed": _facts(config.embed.model)}
    if config.detect.name != "replay":
        by_itself = Path(config.detect.model).suffix == ".pt" and not Path(config.detect.model).exists()
        found["detect"] = {"name": config.detect.model} if by_itself else _facts(config.detect.model)
    return found


def _facts(name_or_path: str) -> dict[str, str]:
    model = resolve(name_or_path)
    if model.entry is not None:
        return {"name": model.entry.name, "sha256": model.entry.sha256}
    return {"name": str(model.path.resolve()), "sha256": model_sha256(model.path)}


class Keeping:
    """The store of a run, if it has one, and what its outputs want to know of it.

    Args:
        config: the settings.
        embedder: of this run; the store has to be of the same.
        progress: told when people were forgotten because they are too old.

    Raises:
        ConfigError: the file is no store, damaged, of a newer version, or of another embedder.
        SinkError: it cannot be written.

    Attributes:
        models: which files the nets come from, see ``model_facts``.
        store: people known before; None: the run has none.
        album: where a live run puts pictures for the store; None without one.
    """

    def __init__(self, config: Config, embedder: Embedder, progress: Progress) -> None:
        self.models = model_facts(config)
        self.store = _open_store(config, embedder, self.models["embed"], progress)
        self.album = None if self.store is None else Album()
        self._known = set() if self.store is None else {person.global_id for person in self.store.people()}

    def close(self) -> None:
        """Give the file back. May be called twice."""
        if self.store is not None:
            self.store.close()

    def names(self) -> dict[int, str]:
        """Global id -> name, for those who have one now."""
        return {} if self.store is None else self.store.names()

    def counts(self, people: Iterable[int]) -> dict[str, int]:
        """For run.json: how many of these people were known before the run; nothing without a store."""
        return {} if self.store is None else {"identities_known_before": len(self._known.intersection(people))}


def _open_store(config: Config, embedder: Embedder, facts: Mapping[str, str], progress: Progress) -> Store | None:
    """The store that ``config.store`` names, made when it does not exist; who is too old is forgotten first."""
    settings = config.store
    if settings.path is None:
        if settings.retain_days is not None:
            raise ConfigError("store.retain_days (--retain) is about a store: name it with --store")
        return None
    store = Store(
        Path(settings.path).expanduser(),
        embedder=facts["name"],
        sha256=facts["sha256"],
        dim=embedder.dim,
        thumbnails=settings.thumbnails if config.output.thumbnails else False,
        wait_s=settings.wait_s,
    )
    try:
        if store.path.stat().st_size <= QUICK_CHECK_BYTES:  # what is found at the end of a long run is found too late
            for problem in check(store):
                raise store.file.damaged(problem)
        if settings.retain_days is not None:
            people, tracklets = expire(store, days=settings.retain_days, now_s=time.time())
            if tracklets:
                progress.note(f"store: {people} people and {tracklets} tracklets were too old and are forgotten")
    except BaseException:
        store.close()
        raise
    return store


def run_note(cameras: Iterable[str]) -> str:
    """What the store calls a run: its cameras."""
    text = ", ".join(cameras)
    return text if len(text) <= 200 else f"{text[:197]}..."


def keep_people(
    store: Store,
    tracklets: Sequence[Tracklet],
    identities: Mapping[TrackKey, int],
    *,
    thumbnails: ThumbnailKeeper | None,
    note: str,
) -> None:
    """Write the people of a finished run into the store, in one transaction.

    Args:
        store: where.
        tracklets: those that are shown in the results.
        identities: of each of them.
        thumbnails: their pictures, where the run keeps some.
        note: what the store calls the run.

    Raises:
        SinkError: the store cannot be written; nothing was changed.
    """
    pictures = {}
    if thumbnails is not None and store.thumbnails:
        for tracklet in tracklets:
            if (best := thumbnails.best([tracklet.key])) is not None:
                pictures[tracklet.key] = Picture(best.score, best.jpeg)
    known = [(identities[tracklet.key], tracklet) for tracklet in tracklets]
    if known:
        store.write(known, now_s=time.time(), note=note, pictures=pictures)
