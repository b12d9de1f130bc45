"""A run of weeks in small: nothing that is kept from picture to picture grows."""

from __future__ import annotations

from pathlib import Path

from tools.soak_live import resources, soak


def test_soak_keeps_nothing(tmp_path: Path) -> None:
    before = resources()
    # People come every two seconds: 80 tracks in all, of which 40 may be remembered.
    run = soak(1600, tmp_path / "out", cameras=2, identities=20, tracks=40)
    after = resources()
    bounds = {
        "pipeline.alive": 20,
        "pipeline.global_ids": 20,
        "pipeline.closed": 0,
        "pooler.tracks": 20,
        "associator.tracks": 40,
        "review.recent": 40,
        "gallery.people": 20,
        "gallery.members": 20 * 12,
        "trackers.ids": 20,
        "events.visits": 20,
        "memory.tracklets": 40,
        "memory.links": 80,
        "thumbnails.live": 20,
        "thumbnails.stored": 80,
    }
    assert set(run.sizes) == set(bounds)
    assert {name: size for name, size in run.sizes.items() if size > bounds[name]} == {}
    assert after["files"] <= before["files"]
    assert after["threads"] <= before["threads"]
    assert len(run.tenths) == 10


def test_soak_does_as_much_for_a_picture_late_as_early(tmp_path: Path) -> None:
    # Counted, not timed: the memory is full after the fourth tenth, and nothing may cost more from then on.
    run = soak(2400, tmp_path / "out", cameras=2, identities=10, tracks=20, reviews=False, calls=True)
    early, late = (sum(run.calls[tenth].values()) for tenth in (4, 9))
    assert early > 100
    assert abs(late / early - 1) < 0.1  # what is done by the clock is in it, too
