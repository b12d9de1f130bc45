"""The whole configuration: defaults, YAML files, ``--set`` overrides; one clear line when something is wrong.

    config = Config.load("site.yaml", overrides=["track.max_age_s=2", "detect.model=yolov8n.onnx"])
    config.track.name                 # "steady"
    config.to_yaml()                  # documented: every field with its unit, range and default

The models of the stages are in ``reidpipe.settings``. What is not set keeps its default.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_origin

import yaml
from pydantic import BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from reidpipe.errors import ConfigError
from reidpipe.settings import (
    AssociateSettings,
    DetectSettings,
    EmbedSettings,
    LiveSettings,
    OutputSettings,
    PoolSettings,
    RefineSettings,
    RuntimeSettings,
    Section,
    SourceSettings,
    StoreSettings,
    TrackSettings,
)

__all__ = ["Config"]


class Config(Section):
    """All settings of a run, one section a stage."""

    runtime: RuntimeSettings = Field(default_factory=RuntimeSettings)
    source: SourceSettings = Field(default_factory=SourceSettings)
    detect: DetectSettings = Field(default_factory=DetectSettings)
    embed: EmbedSettings = Field(default_factory=EmbedSettings)
    track: TrackSettings = Field(default_factory=lambda: _default("track"))
    pool: PoolSettings = Field(default_factory=PoolSettings)
    associate: AssociateSettings = Field(default_factory=lambda: _default("associate"))
    refine: RefineSettings = Field(default_factory=RefineSettings)
    output: OutputSettings = Field(default_factory=OutputSettings)
    store: StoreSettings = Field(default_factory=StoreSettings)
    live: LiveSettings = Field(default_factory=LiveSettings)

    @classmethod
    def load(
        cls,
        path: str | Path | None = None,
        *,
        overrides: Sequence[str] = (),
        values: Mapping[str, Any] | None = None,
    ) -> Self:
        """Defaults, then a YAML file, then overrides, then values.

        Args:
            path: YAML file with one section a stage.
            overrides: such as ``track.max_age_s=2``; what follows the sign is read as YAML.
            values: the same as Python values: ``{"track.max_age_s": 2.0}``.

        Raises:
            ConfigError: the file is missing or not YAML, a key is unknown, a value has the wrong type or is out of
                range. The message names the key and, for an unknown one, the nearest known key.
        """
        tree = {} if path is None else _read_yaml(Path(path))
        for override in overrides:
            _put(tree, *_parse(override))
        for key, value in (values or {}).items():
            _put(tree, key, value)
        for stage, name in DEFAULT_NAMES.items():
            section = tree.get(stage)
            if section is None or isinstance(section, dict):
                tree[stage] = {"name": name, **(section or {})}
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise ConfigError(_explain(error.errors()[0], cls, tree)) from error

    def to_yaml(self, *, comments: bool = True) -> str:
        """These settings as YAML that ``load`` takes; with comments each field says what it is."""
        lines = []
        for name, section in self:
            lines.append(f"{name}:")
            lines += [f"  {line}" for line in _section_yaml(section, comments=comments)]
            lines.append("")
        return "\n".join(lines).rstrip() + "\n"


DEFAULT_NAMES = {"track": "steady", "associate": "offline"}
"""Stages with several sets of fields, and the one that is meant when no name is given."""


def _default(stage: str) -> Any:
    model = next(m for m in _members(Config, stage) if m.model_fields["name"].default == DEFAULT_NAMES[stage])
    return model()


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the config file {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold sections such as 'track:', not a {type(values).__name__}")
    return values


def _parse(override: str) -> tuple[str, Any]:
    """``a.b=value`` as a key and a value."""
    key, equals, text = override.partition("=")
    if not equals:
        raise ConfigError(f"--set takes stage.key=value, for instance track.max_age_s=2; got {override!r}")
    try:
        return key.strip(), yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {key}: cannot read the value {text!r}") from error


def _put(tree: dict[str, Any], key: str, value: Any) -> None:
    """Put a value at ``stage.key`` of nested dicts."""
    parts = key.split(".")
    if len(parts) != 2 or not all(parts):
        raise ConfigError(f"a setting is named stage.key, for instance track.max_age_s; got {key!r}")
    section = tree.setdefault(parts[0], {})
    if not isinstance(section, dict):
        raise ConfigError(f"{parts[0]}: must hold keys, got {section!r}")
    section[parts[1]] = value


def _members(model: type[BaseModel], field: str) -> list[type[BaseModel]]:
    """The models that a field can hold: one, or the members of a union."""
    annotation = model.model_fields[field].annotation
    found = getattr(annotation, "__args__", (annotation,))
    return [m for m in found if isinstance(m, type) and issubclass(m, BaseModel)]


def _explain(error: ErrorDetails, model: type[BaseModel], values: Mapping[str, Any]) -> str:
    """One line for one of pydantic's errors."""
    path = [str(part) for part in error["loc"]]
    section = path[0]
    if len(path) > 2 and section in DEFAULT_NAMES and path[1] == _name(values, section):
        del path[1]
    where = ".".join(path)
    if error["type"] == "extra_forbidden":
        known = _known(model, path, values)
        near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean {'.'.join([*path[:-1], near[0]])}?" if near else f"known: {', '.join(known)}"
        return f"unknown setting {where}: {hint}"
    if error["type"] == "union_tag_invalid":
        tags = str(error.get("ctx", {}).get("expected_tags", "")).replace("'", "")
        near = difflib.get_close_matches(str(_name(values, section)), tags.split(", "), n=1)
        hint = f" did you mean {near[0]}?" if near else ""
        return f"{where}.name: no such name {_name(values, section)!r};{hint} known: {tags}"
    return f"{where}: {error['msg'][0].lower()}{error['msg'][1:]}, got {error['input']!r}"


def _name(values: Mapping[str, Any], section: str) -> Any:
    found = values.get(section)
    return found.get("name") if isinstance(found, Mapping) else None


def _known(model: type[BaseModel], path: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    """The keys that would have been right where ``path`` ends."""
    if len(path) == 1:
        return list(model.model_fields)
    members = _members(model, path[0])
    chosen = [m for m in members if len(members) == 1 or m.model_fields["name"].default == _name(values, path[0])]
    return [key for m in chosen for key in m.model_fields]


def _section_yaml(section: BaseModel, *, comments: bool) -> Iterator[str]:
    fields = sorted(type(section).model_fields.items(), key=lambda item: item[0] != "name")
    for name, info in fields:
        value = yaml.safe_dump(_plain(getattr(section, name)), default_flow_style=True, width=10_000).strip()
        value = value.removesuffix("...").strip()
        note = _note(info) if comments else ""
        yield f"{name}: {value}" + (f"  # {note}" if note else "")


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value


def _note(info: FieldInfo) -> str:
    """What a field is, and its choices or range."""
    signs = (("gt", ">"), ("ge", ">="), ("lt", "<"), ("le", "<="))
    limits = [f"{sign} {getattr(m, key)}" for m in info.metadata for key, sign in signs if hasattr(m, key)]
    choices = get_args(info.annotation) if get_origin(info.annotation) is Literal else ()
    range_ = " | ".join(map(str, choices)) if len(choices) > 1 else ", ".join(limits)
    return "; ".join(part for part in (info.description or "", range_) if part)
