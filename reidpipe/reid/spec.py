"""What an OSNet is made of, as data: the variants of the papers, their ablations, and architectures found by search.

OSNet: Zhou et al., ICCV 2019, arXiv 1905.00953. OSNet-IBN and OSNet-AIN: Zhou et al., TPAMI 2021, arXiv 1910.06827.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from reidpipe.errors import ConfigError

Fusion = Literal["unified", "stream", "separate", "fixed", "add", "concat"]
NormPlace = Literal["none", "inside", "outside", "both"]

BLOCK_NAMES = ("conv2.0", "conv2.1", "conv3.0", "conv3.1", "conv4.0", "conv4.1")
BASE_CHANNELS = (64, 256, 384, 512)
PLAIN: tuple[NormPlace, ...] = ("none",) * 6
IBN: tuple[NormPlace, ...] = ("outside", "outside", "none", "none", "none", "none")
AIN: tuple[NormPlace, ...] = ("inside", "inside", "none", "inside", "inside", "none")


class OSNetSpec(BaseModel):
    """One OSNet architecture.

    Attributes:
        width: Channel multiplier (beta in the paper).
        streams: Number of streams T in a block; stream t stacks t convolutions (equation 3 of the ICCV paper).
        fusion: How streams are joined. `unified`: one gate, shared by the streams, channel-wise and input-dependent
            (equation 4); `stream`: shared gate with one scalar per stream; `separate`: a gate of its own per stream;
            `fixed`: learned channel weights that do not see the input; `add`: plain sum; `concat`: concatenation.
        convolution: `lite` (pointwise, then depthwise 3x3) or `standard` 3x3.
        norms: Instance norm of the six blocks (:data:`BLOCK_NAMES`): `inside` the residual before the addition,
            `outside` after it, `both`, or `none`.
        stem_norm: Norm of the first convolution.
        embedding: Length of the output vector.
        layout: Names of the state dict's keys: those of Torchreid's `osnet` or of its `osnet_ain`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    width: float = Field(1.0, gt=0, le=4)
    streams: int = Field(4, ge=1, le=26)
    fusion: Fusion = "unified"
    convolution: Literal["lite", "standard"] = "lite"
    norms: tuple[NormPlace, NormPlace, NormPlace, NormPlace, NormPlace, NormPlace] = ("none",) * 6
    stem_norm: Literal["batch", "instance"] = "batch"
    embedding: int = Field(512, ge=1)
    layout: Literal["osnet", "ain"] = "osnet"

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Output channels of conv1 to conv4 at this width."""
        stem, second, third, fourth = (int(count * self.width) for count in BASE_CHANNELS)
        return stem, second, third, fourth


def _family(prefix: str, widths: dict[str, float], spec: OSNetSpec) -> dict[str, OSNetSpec]:
    return {f"{prefix}_{name}": spec.model_copy(update={"width": width}) for name, width in widths.items()}


_WIDTHS = {"x1_0": 1.0, "x0_75": 0.75, "x0_5": 0.5, "x0_25": 0.25}

SPECS: dict[str, OSNetSpec] = {
    **_family("osnet", _WIDTHS, OSNetSpec()),
    **_family("osnet_ibn", {"x1_0": 1.0}, OSNetSpec(norms=IBN, stem_norm="instance")),
    **_family("osnet_ain", _WIDTHS, OSNetSpec(norms=AIN, stem_norm="instance", layout="ain")),
}


def get_spec(name_or_file: str | Path) -> OSNetSpec:
    """Return a spec by its name (`osnet_x0_25`) or from a YAML or JSON spec file, as the search writes it.

    Raises:
        ConfigError: Unknown name, or a file that is no valid spec.
    """
    if str(name_or_file) in SPECS:
        return SPECS[str(name_or_file)]
    path = Path(name_or_file)
    if path.suffix not in {".yaml", ".yml", ".json"}:
        raise ConfigError(f"unknown architecture '{name_or_file}': use {', '.join(SPECS)} or a spec file (.yaml)")
    return load_spec(path)


def load_spec(path: Path) -> OSNetSpec:
    """Read a spec file (YAML; JSON is YAML too).

    Raises:
        ConfigError: The file is not there or does not describe an OSNet.
    """
    import yaml

    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        return OSNetSpec.model_validate(content)
    except OSError as error:
        raise ConfigError(f"cannot read spec file {path}: {error.strerror}") from error
    except (yaml.YAMLError, ValidationError) as error:
        raise ConfigError(f"{path} is no OSNet spec: {' '.join(str(error).split())}") from error


def save_spec(spec: OSNetSpec, path: Path) -> None:
    """Write a spec as YAML; :func:`load_spec` gives the same spec back."""
    import yaml

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(spec.model_dump(mode="json"), sort_keys=False), encoding="utf-8")
