"""The settings of a stage are the keyword arguments of its classes, with the same defaults; each is described."""

from __future__ import annotations

import inspect

import pytest

from reidpipe import settings
from reidpipe.settings import Section
from reidpipe.stages import STAGES, stage_class

MODELS: dict[str, type[Section]] = {
    "track.botsort": settings.BoTSortSettings,
    "track.bytetrack": settings.ByteTrackSettings,
    "track.deepsort": settings.DeepSORTSettings,
    "track.ocsort": settings.OCSortSettings,
    "track.sort": settings.SortSettings,
    "track.steady": settings.SteadySettings,
    "pool.quality": settings.PoolSettings,
    "associate.offline": settings.OfflineSettings,
    "associate.online": settings.OnlineSettings,
}
GIVEN_BY_BUILD = {"associate": {"album", "likeness", "note", "retain_days", "store", "write"}}


@pytest.mark.parametrize("key", sorted(MODELS))
def test_settings_are_the_arguments_of_the_class(key: str) -> None:
    stage, name = key.split(".")
    arguments = inspect.signature(stage_class(stage, name)).parameters
    fields = MODELS[key].model_fields
    expected = {k: p.default for k, p in arguments.items() if k not in GIVEN_BY_BUILD.get(stage, set())}
    assert {k: f.default for k, f in fields.items() if k != "name"} == expected
    assert all(p.kind is inspect.Parameter.KEYWORD_ONLY for p in arguments.values())


def test_settings_cover_every_implementation() -> None:
    for stage in ("track", "pool", "associate"):
        assert {f"{stage}.{name}" for name in STAGES[stage]} == {key for key in MODELS if key.startswith(f"{stage}.")}


@pytest.mark.parametrize(
    "model", [m for m in vars(settings).values() if isinstance(m, type) and issubclass(m, Section)]
)
def test_settings_describe_every_field(model: type[Section]) -> None:
    assert all(field.description for field in model.model_fields.values())


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_stage_names_resolve(stage: str) -> None:
    for name in STAGES[stage]:
        assert isinstance(stage_class(stage, name), type)
