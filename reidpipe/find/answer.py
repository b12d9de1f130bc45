"""The answer in words and as JSON."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reidpipe.find.gallery import Gallery, Sighting
from reidpipe.find.photo import Photo
from reidpipe.find.ranking import Match
from reidpipe.report.clock import Clock

__all__ = ["FIND_SCHEMA", "answer_record", "describe"]

FIND_SCHEMA = "reidpipe.find/1"
MOST_PLACES = 8


def answer_record(photo: Photo, gallery: Gallery, matches: Sequence[Match], *, top: int) -> dict[str, Any]:
    """The best ``top`` matches as plain JSON values, schema ``reidpipe.find/1``.

    Args:
        photo: who was looked for.
        gallery: where.
        matches: all of them, best first.
        top: how many to list.
    """
    return {
        "schema": FIND_SCHEMA,
        "photo": str(photo.path),
        "box": [round(value, 2) for value in photo.box.tolist()],
        "source": gallery.source,
        "model": gallery.model,
        "identities": len(gallery.people),
        "nobody_probability": round(max(0.0, 1.0 - sum(match.probability for match in matches)), 4),
        "matches": [_match(number, match) for number, match in enumerate(matches[:top], 1)],
    }


def _match(number: int, match: Match) -> dict[str, Any]:
    who = match.candidate
    return {
        "rank": number,
        "global_id": who.global_id,
        "name": who.name,
        "similarity": round(match.similarity, 4),
        "mean_similarity": round(match.mean_similarity, 4),
        "probability": round(match.probability, 4),
        "thumbnail": str(who.thumbnail) if isinstance(who.thumbnail, Path) else None,
        "sightings": [
            {
                "camera": one.camera,
                "first_s": round(one.first_s, 6),
                "last_s": round(one.last_s, 6),
                "stays": one.stays,
                **({} if one.run is None else {"run": one.run}),
                **({} if one.run_s is None else {"run_s": round(one.run_s, 3)}),
            }
            for one in who.sightings
        ],
    }


def _place(sighting: Sighting, others: Sequence[Sighting]) -> str:
    """Camera, from, to; in a store also which run, and the day."""
    beside = [one for one in others if one.run == sighting.run]
    clock = Clock.of(min(s.first_s for s in beside), max(s.last_s for s in beside))
    text = f"{sighting.camera} {clock.time(sighting.first_s)}-{clock.time(sighting.last_s)}"
    if sighting.run is None:
        return text
    begun = sighting.first_s if sighting.run_s is None else sighting.run_s
    day = time.strftime("%Y-%m-%d" if sighting.run_s is None else "%Y-%m-%d %H:%M", time.localtime(begun))
    return f"run {sighting.run}, {day}: {text}"


def describe(match: Match) -> tuple[str, str, str, str, str]:
    """One row of the table: who, similarity, probability, where and when, picture."""
    who = match.candidate
    chance = match.probability
    percent = "> 99 %" if chance > 0.995 else "< 1 %" if chance < 0.005 else f"{100 * chance:.0f} %"
    places = [_place(sighting, who.sightings) for sighting in who.sightings[:MOST_PLACES]]
    if len(who.sightings) > MOST_PLACES:
        places.append(f"and {len(who.sightings) - MOST_PLACES} more")
    picture = "/".join(who.thumbnail.parts[-2:]) if isinstance(who.thumbnail, Path) else ""
    named = f"{who.name} ({who.global_id})" if who.name else str(who.global_id)
    return named, f"{match.similarity:.3f}", percent, "\n".join(places), picture
