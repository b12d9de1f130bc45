"""Recipe files of the workbench: YAML, changed from the command line before it is checked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reidpipe.errors import ConfigError


def read_recipe(path: Path, *, overrides: Sequence[str] = (), sources: Sequence[str] = ()) -> dict[str, Any]:
    """Read a recipe and change it; what it says is checked later.

    Args:
        path: YAML file.
        overrides: `key=value` with dots between the levels, for instance `budget.images=20000`; values are YAML.
        sources: In place of the recipe's training sets: `msmt17` (in the folder of that name under `data.root`),
            `msmt17=/data/msmt17`, or with a part `market1501=/data/market:combineall`.

    Raises:
        ConfigError: The file cannot be read, is no YAML with keys, or an override has no key.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read recipe {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"recipe {path} is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(content, dict):
        raise ConfigError(f"recipe {path} holds no keys")
    for override in overrides:
        key, equals, text = override.partition("=")
        if not (key and equals):
            raise ConfigError(f"--set takes key=value, for instance budget.images=20000; got '{override}'")
        _put(content, key.strip().split("."), yaml.safe_load(text), override)
    if sources:
        _put(content, ["data", "sources"], [read_source(source) for source in sources], "sources")
    return content


def read_source(text: str) -> dict[str, Any]:
    """`NAME`, `NAME=FOLDER` or `NAME=FOLDER:PART` as an entry of `data.sources`."""
    name, _, place = text.partition("=")
    folder, colon, part = place.rpartition(":")
    if not colon or "/" in part or "\\" in part:  # no part, or the colon of a Windows drive
        folder, part = place, ""
    entry = {"name": name, "path": str(Path(folder).absolute()) if folder else name}
    return entry | ({"part": part} if part else {})


def _put(tree: dict[str, Any], keys: Sequence[str], value: Any, said: str) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
        if not isinstance(tree, dict):
            raise ConfigError(f"cannot set '{said}': {key} holds no keys")
    tree[keys[-1]] = value
