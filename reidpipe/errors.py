"""What can go wrong, as a tree. The command line turns any of these into one line and exit code 2.

    ReidpipeError
    ├── ConfigError          a setting, a key, an argument, an output folder
    ├── MissingExtraError    an optional package is not installed
    ├── WeightsError         a model file: missing, truncated, wrong hash, wrong kind, wrong dimension
    ├── SourceError          a camera: missing, unreadable, not a video (carries ``camera``)
    ├── StageError           a stage raised while running (carries ``stage`` and ``camera``)
    └── SinkError            an output cannot be written

A message is one line that says what is wrong and what to do. Anything else that is raised is a bug and keeps its
traceback.
"""

from __future__ import annotations

__all__ = [
    "ConfigError",
    "MissingExtraError",
    "ReidpipeError",
    "SinkError",
    "SourceError",
    "StageError",
    "WeightsError",
]


class ReidpipeError(Exception):
    """Base of everything that reidpipe raises on purpose."""


class ConfigError(ReidpipeError):
    """A setting is unknown, out of range, or does not fit the others."""


class MissingExtraError(ReidpipeError):
    """An optional package is needed.

    Args:
        package: import name of what is missing, for instance ``"openvino"``.
        extra: the extra of reidpipe that brings it.
        why: what needs it.
    """

    def __init__(self, package: str, *, extra: str, why: str) -> None:
        super().__init__(f"{why} needs the package {package}: pip install 'reidpipe[{extra}]'")
        self.package = package
        self.extra = extra


class WeightsError(ReidpipeError):
    """A model file is missing, damaged, or not what it has to be."""


class SourceError(ReidpipeError):
    """A camera cannot be read.

    Args:
        message: what is wrong, without the camera's name.
        camera: the camera it is about.
    """

    def __init__(self, message: str, *, camera: str) -> None:
        super().__init__(f"{camera}: {message}")
        self.camera = camera


class StageError(ReidpipeError):
    """A stage raised while a run was going on; the cause is chained.

    Args:
        stage: name of the stage, for instance ``"track"``.
        camera: the camera it was working on, or None when it works on all of them.
        cause: what was raised.
    """

    def __init__(self, stage: str, cause: BaseException, *, camera: str | None = None) -> None:
        where = f" on camera {camera}" if camera else ""
        super().__init__(f"the {stage} stage failed{where}: {type(cause).__name__}: {cause}")
        self.stage = stage
        self.camera = camera


class SinkError(ReidpipeError):
    """An output file, folder or stream cannot be written."""
