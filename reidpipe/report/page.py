"""Everything in its place on one page, as plain values that the template only has to write down."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from reidpipe import __version__
from reidpipe.report.certainty import Certainty, judge, probability, rule_of
from reidpipe.report.clock import Clock, duration
from reidpipe.report.counts import Counts, Tally, count_people, make_bins
from reidpipe.report.doubts import find_doubts
from reidpipe.report.movements import find_movements
from reidpipe.report.pictures import load_pictures
from reidpipe.report.presence import Presence, read_presence
from reidpipe.report.results import Results, read_results
from reidpipe.sinks.files import write_bytes
from reidpipe.sinks.palette import identity_colours

__all__ = ["build_report"]

REPORT_FILE = "report.html"
_COLOURS = 250  # as many as the annotated videos use
_MOST_RIVALS = 3
_MOST_WAYS = 30  # listed one by one; the table has all


def build_report(folder: Path | str) -> Path:
    """Write ``report.html`` into a run's folder: one file that needs nothing else, not even a network.

    It is made from what the run wrote (``run.json``, ``identities.json``, ``identities.npz``, ``frames.jsonl``,
    ``events.jsonl``, ``thumbnails/``) and always the same bytes for the same run. A run that failed gets a report
    about what is there.

    Args:
        folder: what ``reidpipe run --out`` names.

    Returns:
        Path of the report.

    Raises:
        ConfigError: the folder is missing or no run.
        ReidpipeError: a file of the run is damaged, or of a newer schema.
        SinkError: the report cannot be written.
    """
    results = read_results(folder)
    keys = {visit.key for person in results.people for visit in person.visits}
    presence = read_presence(results.folder / "frames.jsonl", keys)
    path = results.folder / REPORT_FILE
    write_bytes(path, _render(_Material.gather(results, presence)).encode())
    return path


@dataclass(frozen=True, slots=True)
class _Material:
    """What the page is about."""

    results: Results
    presence: Presence
    certainty: Certainty | None
    counts: Counts
    clock: Clock
    span: tuple[float, float]

    @classmethod
    def gather(cls, results: Results, presence: Presence) -> _Material:
        """Judge the links and count."""
        people = results.people
        certainty = None
        if results.vectors is not None and people:
            certainty = judge(people, results.vectors, paths=presence.paths, rule=rule_of(results.run))
        span = _span(results, presence)
        counts = count_people(people, results.cameras, presence.watches, certainty, make_bins(*span))
        return cls(results, presence, certainty, counts, Clock.of(*span), span)


def _span(results: Results, presence: Presence) -> tuple[float, float]:
    """First and last second of everything."""
    times = [t for person in results.people for t in (person.first_s, person.last_s)]
    times += [t for watch in presence.watches.values() for t in (watch.first_s, watch.last_s)]
    return (min(times), max(times)) if times else (0.0, 0.0)


def _render(material: _Material) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("reidpipe.report", "assets"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    clock = material.clock
    environment.globals["spell"] = clock.span
    environment.filters.update(
        time=clock.time,
        minute=clock.minute,
        duration=duration,
        transit=_transit,
        percent=_percent,
        band=_band,
        few=_few,
    )
    script = _asset("report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return environment.get_template("report.html.j2").render(
        style=Markup(_asset("report.css")),
        script=Markup(script),
        script_digest=digest,
        data=_json(_data(material)),
        **_view(material),
    )


def _asset(name: str) -> str:
    return files("reidpipe.report").joinpath("assets", name).read_text(encoding="utf-8")


def _json(record: Mapping[str, Any]) -> Markup:
    """JSON that may stand in a script element, whatever it holds."""
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # it cannot end the element any more


def _view(material: _Material) -> dict[str, Any]:
    """What the template writes."""
    results, certainty = material.results, material.certainty
    doubts = find_doubts(results.people, certainty) if certainty is not None else None
    asked = [file for doubt in (*doubts.made, *doubts.open) for file in doubt.pictures] if doubts else []
    pictures, missing = load_pictures(results.folder, results.people, more=asked)
    notes = list(results.notes)
    if missing:
        notes.append(f"{missing} thumbnails are missing or are no JPEG files.")
    movements = find_movements(results.people)
    return {
        "run": results.run,
        "name": results.folder.resolve().name,
        "version": __version__,
        "notes": notes,
        "warnings": list(_warnings(results)),
        "settings": list(_settings(results.run["config"])),
        "association": list(_settings(results.run.get("association") or {})),
        "most_ways": _MOST_WAYS,
        "corrections": sum(event["event"] == "correct" for event in results.events),
        "cameras": results.cameras,
        "people": list(_cards(material)),
        "pictures": pictures,
        "counts": material.counts,
        "tallest": max((t.high or t.count for row in material.counts.cells.values() for t in row), default=0),
        "several": sum(len(person.cameras) > 1 for person in results.people),
        "visits": sum(len(person.visits) for person in results.people),
        "nameless": len(material.presence.nameless),
        "span": material.span,
        "zone": material.clock.zone,
        "movements": movements,
        "matrix": {(one.origin, one.target): one for one in movements},
        "doubts": doubts,
        "certainty": certainty,
        "colours": {card["id"]: card["colour"] for card in _cards(material)},
        "called": {
            one.global_id: f"{one.name} ({one.global_id})" if one.name else f"Person {one.global_id}"
            for one in results.people
        },
    }


def _cards(material: _Material) -> Iterator[dict[str, Any]]:
    """One for each person."""
    colours = [f"#{r:02x}{g:02x}{b:02x}" for r, g, b in identity_colours(_COLOURS)]
    first, last = material.span
    length = max(last - first, 1e-6)
    row = 0
    for person in material.results.people:
        links = None if material.certainty is None else material.certainty.links[row : row + len(person.visits)]
        row += len(person.visits)
        known = [] if links is None else [float(link) for link in links if link == link]
        yield {
            "id": person.global_id,
            "colour": colours[(person.global_id - 1) % len(colours)],
            "person": person,
            "worst": float(probability(min(known))) if known else None,
            "bars": [
                ((v.first_s - first) / length * 100, max((v.last_s - v.first_s) / length * 100, 0.8))
                for v in person.visits
            ],
        }


def _data(material: _Material) -> dict[str, Any]:
    """What the script draws."""
    results, certainty = material.results, material.certainty
    numbers = {camera: number for number, camera in enumerate(results.cameras)}
    rivals: dict[int, list[list[float]]] = {}
    for rival in certainty.rivals if certainty is not None else ():
        chance = round(float(probability(rival.odds)), 3)
        for mine, other in ((rival.a, rival.b), (rival.b, rival.a)):
            if len(rivals.setdefault(mine, [])) < _MOST_RIVALS:
                rivals[mine].append([results.people[other].global_id, chance])
    links = iter([] if certainty is None else probability(certainty.links).round(3).tolist())
    look = {card["id"]: card["colour"] for card in _cards(material)}
    people = [
        {
            "id": person.global_id,
            "name": person.name,
            "colour": look[person.global_id],
            "visits": [
                [numbers[v.key.camera], v.first_s, v.last_s, _known(next(links, None)), v.key.track_id]
                for v in person.visits
            ],
            "rivals": rivals.get(row, []),
        }
        for row, person in enumerate(results.people)
    ]
    return {
        "cameras": results.cameras,
        "span": material.span,
        "offset": material.clock.offset_s,
        "fine": material.clock.fine,
        "dated": material.clock.dated,
        "people": people,
        "nameless": [
            [numbers[k.camera], a, b] for k, (a, b) in material.presence.nameless.items() if k.camera in numbers
        ],
        "on": [[numbers[c], w.first_s, w.last_s] for c, w in material.presence.watches.items() if c in numbers],
        "down": [
            [numbers[e["camera"]], e["time_s"], e["event"]]
            for e in results.events
            if e["event"] != "correct" and e["camera"] in numbers
        ],
    }


def _known(value: float | None) -> float | None:
    return None if value is None or value != value else value


def _warnings(results: Results) -> Iterator[str]:
    """What the user should know, each once."""
    lines = [results.run["error"]] if results.run.get("error") else []
    lines += results.run["warnings"]
    for source in results.run["sources"]:
        lines += [f"{source['camera']}: {warning}" for warning in source.get("warnings", ())]
        lines += [source["failure"]] if source.get("failure") else []
    yield from dict.fromkeys(str(line) for line in lines)


def _settings(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """``section.key`` and its value as JSON."""
    for key, value in config.items():
        if isinstance(value, dict) and value:
            yield from _settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _transit(seconds: float) -> str:
    return duration(seconds) if seconds >= 0.05 else "at once"


def _few(cameras: Sequence[str]) -> str:
    """The first two, and how many more."""
    return ", ".join(cameras[:2]) + (f" and {len(cameras) - 2} more" if len(cameras) > 2 else "")


def _percent(share: float | None) -> str:
    if share is None:
        return ""
    return "over 99 %" if share > 0.995 else "under 1 %" if share < 0.005 else f"{round(100 * share)} %"


def _band(tally: Tally) -> str:
    """``12–16``, or nothing when it is not known or no doubt is left."""
    if tally.low is None or tally.high is None or tally.low == tally.high:
        return ""
    return f"{tally.low}–{tally.high}"
