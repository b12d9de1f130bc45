"""The models that reidpipe knows: what they are, where they lie, and whether a file is really the one it claims to be.

``weights/manifest.yaml`` has one entry for each model, with everything that is needed to run it and everything that
somebody who wants to use it must know (licence, training data and their terms, measured quality). Nothing is guessed
from a file name.
"""

from __future__ import annotations

import difflib
import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reidpipe.errors import WeightsError

__all__ = [
    "Manifest",
    "ModelEntry",
    "ResolvedModel",
    "TrainingSet",
    "check_file",
    "entry",
    "file_sha256",
    "find_file",
    "load_manifest",
    "manifest_path",
    "resolve",
    "user_folder",
    "verify",
]

Kind = Literal["detector", "embedder", "checkpoint"]
_KIND_NAMES: dict[str, str] = {"detector": "a detector", "embedder": "an embedder", "checkpoint": "a checkpoint"}
Triple = tuple[float, float, float]

MANIFEST_SCHEMA = "reidpipe.weights/1"
_MODEL_SUFFIXES = {".onnx", ".ort", ".xml", ".tflite", ".pt", ".pth", ".tar"}


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TrainingSet(_Strict):
    """One set of pictures a model was trained on."""

    name: str
    terms: str = Field(description="what its owners allow, in one line")


class ModelEntry(_Strict):
    """Everything about one model file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.-]*$", description="what users type")
    file: str = Field(pattern=r"^[^/\\]+$", description="file name, in the weights folder or the cache")
    kind: Kind
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(gt=0, description="bytes")
    input_size: tuple[int, int] = Field(description="height and width, pixels")
    color_order: Literal["rgb", "bgr"]
    scale: float = Field(gt=0, description="factor on the 0..255 pixel")
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    dim: int | None = Field(None, gt=0, description="length of the vector; embedders only")
    head: str | None = Field(None, description="format of the output; detectors only, see reidpipe.detect.heads")
    names: tuple[str, ...] | None = Field(None, description="class names in order; detectors only")
    architecture: str | None = Field(None, description="what `reidpipe export` needs to build it; checkpoints only")
    shipped: bool = Field(True, description="lies in the package; else it is fetched when it is wanted")
    licence: str
    trained_on: tuple[TrainingSet, ...] = ()
    made_by: str = Field("", description="the command that made the file")
    measured: dict[str, float | str] = Field(default_factory=dict, description="quality, name -> number")
    urls: tuple[str, ...] = Field((), description="where it can be fetched, best first")
    note: str = ""


class Manifest(_Strict):
    """The whole table."""

    schema_: Literal["reidpipe.weights/1"] = Field(alias="schema")
    models: tuple[ModelEntry, ...] = ()

    def names(self, kind: Kind | None = None) -> list[str]:
        """Names in order of the file, perhaps of one kind only."""
        return [model.name for model in self.models if kind in (None, model.kind)]


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """A model file that exists, and what the manifest knows about it.

    Attributes:
        path: the file (or the folder an OpenVINO model lies in).
        label: what to call it in messages and in run.json: the manifest's name, else the path as given.
        entry: from the manifest; None for a file that is not in it.
    """

    path: Path
    label: str
    entry: ModelEntry | None = None

    def facts(self) -> dict[str, Any]:
        """The entry's facts that matter for running it, only those that are known."""
        if self.entry is None:
            return {}
        keys = ("input_size", "color_order", "scale", "mean", "std", "dim", "head", "names")
        return {key: value for key in keys if (value := getattr(self.entry, key)) is not None}


def manifest_path() -> Path:
    """``manifest.yaml`` of the installed package, or of the source tree it runs from.

    Raises:
        WeightsError: neither is there.
    """
    for folder in _package_folders():
        if (folder / "manifest.yaml").is_file():
            return folder / "manifest.yaml"
    raise WeightsError("the weights manifest is missing from this installation; install reidpipe again")


def load_manifest(path: str | Path | None = None) -> Manifest:
    """Read and check the table.

    Args:
        path: another manifest than the package's own.

    Raises:
        WeightsError: the file cannot be read, or a field is missing, unknown or out of range.
    """
    path = manifest_path() if path is None else Path(path)
    try:
        manifest = Manifest.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    except yaml.YAMLError as error:
        raise WeightsError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise WeightsError(f"{path}: {where or 'the file'}: {first['msg']}") from error
    doubles = {name for name in manifest.names() if manifest.names().count(name) > 1}
    if doubles:
        raise WeightsError(f"{path}: the name {sorted(doubles)[0]} occurs twice")
    return manifest


def entry(name: str, *, kind: Kind | None = None) -> ModelEntry:
    """The manifest's entry of that name.

    Raises:
        WeightsError: no such name (the message has the nearest one), or it is of another kind.
    """
    manifest = load_manifest()
    for model in manifest.models:
        if model.name == name:
            _check_kind(model, kind, name)
            return model
    known = manifest.names(kind)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? " if near else ""
    raise WeightsError(
        f"no model named {name!r}: {hint}known: {', '.join(known) or 'none'}; or give the path of a file"
    )


def resolve(name_or_path: str | Path, *, kind: Kind | None = None) -> ResolvedModel:
    """Find a model: by its name in the manifest, else as a file.

    A file that the manifest knows (same size, same sha256) gets the manifest's facts wherever it lies. A named file
    is checked against its sha256 every time.

    Args:
        name_or_path: ``osnet_x0_25``, ``models/mine.onnx``, or a folder with an OpenVINO model.
        kind: what it has to be.

    Raises:
        WeightsError: no such name or file, a wrong hash, or another kind.
    """
    text = str(name_or_path)
    if isinstance(name_or_path, str) and text in load_manifest().names():
        model = entry(text, kind=kind)
        path = find_file(model)
        if path is None:
            raise WeightsError(_missing(model))
        check_file(model, path)
        return ResolvedModel(path, model.name, model)
    path = Path(name_or_path).expanduser()
    if not path.exists():
        if path.suffix.lower() in _MODEL_SUFFIXES or len(path.parts) > 1:
            raise WeightsError(f"{text}: no such model file")
        entry(text, kind=kind)
    known = _recognise(path)
    if known is not None:
        _check_kind(known, kind, text)
    return ResolvedModel(path, text, known)


def _check_kind(model: ModelEntry, kind: Kind | None, said: str) -> None:
    if kind in (None, model.kind):
        return
    hint = "; turn it into ONNX with `reidpipe export`" if model.kind == "checkpoint" else ""
    raise WeightsError(f"{said} is {_KIND_NAMES[model.kind]}, but what is wanted here is {_KIND_NAMES[kind]}{hint}")


def find_file(model: ModelEntry) -> Path | None:
    """Where a model of the manifest lies: the package, then the user's folder; None when it is in neither."""
    for folder in (*_package_folders(), user_folder()):
        if (folder / model.file).is_file():
            return folder / model.file
    return None


def check_file(model: ModelEntry, path: Path) -> None:
    """Compare a file with its entry.

    Raises:
        WeightsError: it is missing, has another size (truncated) or another sha256.
    """
    if not path.is_file():
        raise WeightsError(f"{path}: no such file; it should be the model {model.name}")
    size = path.stat().st_size
    if size != model.size:
        raise WeightsError(
            f"{path}: {size} bytes, but the model {model.name} has {model.size}: truncated or"
            " another file; fetch it again"
        )
    found = file_sha256(path)
    if found != model.sha256:
        raise WeightsError(
            f"{path}: wrong sha256 {found[:12]}..., the model {model.name} has {model.sha256[:12]}...; fetch it again"
        )


def verify(names: Sequence[str] | None = None) -> Iterator[tuple[ModelEntry, Path | None, str]]:
    """Check files against the manifest.

    Args:
        names: which models; all when None.

    Yields:
        The entry, its file (None when it is not on this machine), and what is wrong with it ("" when nothing is; a
        model that is not shipped may well be absent).
    """
    for name in load_manifest().names() if names is None else names:
        model = entry(name)
        path = find_file(model)
        problem = ""
        if path is None:
            problem = _missing(model) if model.shipped else ""
        else:
            try:
                check_file(model, path)
            except WeightsError as error:
                problem = str(error)
        yield model, path, problem


def file_sha256(path: Path) -> str:
    """Sha256 of a file, lower-case hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def model_sha256(path: Path) -> str:
    """Sha256 of a model, lower-case hex: of its file; of an OpenVINO model, of the .xml and then the .bin.

    Raises:
        WeightsError: it cannot be read.
    """
    files = [path]
    if path.is_dir():
        files = sorted(path.glob("*.xml"))
    files = [*files, *(file.with_suffix(".bin") for file in files if file.suffix == ".xml")]
    digest = hashlib.sha256()
    try:
        for file in files:
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()


def user_folder() -> Path:
    """Where fetched models go: ``$REIDPIPE_WEIGHTS``, else ``~/.cache/reidpipe``."""
    chosen = os.environ.get("REIDPIPE_WEIGHTS")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "reidpipe"


def _package_folders() -> Annotated[tuple[Path, Path], "of a wheel, of the source tree"]:
    package = Path(__file__).resolve().parent
    return package / "_data" / "weights", package.parent / "weights"


def _recognise(path: Path) -> ModelEntry | None:
    """The manifest's entry of a file, by its contents. Hashed only when the size fits one."""
    if not path.is_file():
        return None
    size = path.stat().st_size
    candidates = [model for model in load_manifest().models if model.size == size]
    if not candidates:
        return None
    found = file_sha256(path)
    return next((model for model in candidates if model.sha256 == found), None)


def _missing(model: ModelEntry) -> str:
    how = f"run `reidpipe weights fetch {model.name}`, or put" if model.urls else "put"
    return f"the model {model.name} is not on this machine: {how} the file {model.file} into {user_folder()}"
