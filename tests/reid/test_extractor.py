from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from reidpipe.errors import ConfigError, WeightsError

torch = pytest.importorskip("torch")

from reidpipe.reid.checkpoint import export_state_dict  # noqa: E402
from reidpipe.reid.embed import to_input  # noqa: E402
from reidpipe.reid.extractor import FeatureExtractor  # noqa: E402
from reidpipe.reid.models import build_osnet  # noqa: E402

SIZE: dict[str, Any] = {"height": 64, "width": 32}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("extractor") / "osnet.pth"
    export_state_dict(build_osnet("osnet_x0_25"), path)
    return path


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.asarray(cv2.resize(rng.integers(0, 255, (8, 4, 3), dtype=np.uint8), (40, 80)))


def test_extractor_every_kind_of_picture_gives_the_same_features(
    weights: Path, picture: np.ndarray, tmp_path: Path
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    extractor = FeatureExtractor("osnet_x0_25", weights=weights, **SIZE)
    wanted = extractor(picture)
    assert wanted.shape == (1, 512)
    rgb = FeatureExtractor("osnet_x0_25", weights=weights, color_order="rgb", **SIZE)
    tensor = to_input(cv2.resize(picture, (32, 64))[None])
    for got in (
        extractor(tmp_path / "a.png"),
        extractor([str(tmp_path / "a.png")]),
        extractor(picture[None]),
        rgb(picture[..., ::-1]),
        extractor(tensor),
        extractor(tensor[0]),
        extractor([tensor[0]]),
    ):
        torch.testing.assert_close(got, wanted)
    assert not torch.allclose(rgb(picture), wanted)  # the colour order matters and is not guessed


def test_extractor_pil_picture(weights: Path, picture: np.ndarray) -> None:
    pil = pytest.importorskip("PIL.Image")
    extractor = FeatureExtractor("osnet_x0_25", weights=weights, **SIZE)
    torch.testing.assert_close(extractor(pil.fromarray(picture[..., ::-1].copy())), extractor(picture))


def test_extractor_many_pictures_of_different_size_in_batches(weights: Path, picture: np.ndarray) -> None:
    extractor = FeatureExtractor("osnet_x0_25", weights=weights, batch=2, **SIZE)
    pictures = [picture, picture[:40], picture[:, :20]]
    together = extractor(pictures)
    assert together.shape == (3, 512)
    torch.testing.assert_close(together, torch.cat([extractor(one) for one in pictures]), atol=1e-4, rtol=1e-4)
    assert extractor([]).shape == (0, 512)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32), 7, "nowhere.jpg", torch.zeros(3, 10, 10)],
    ids=["grey", "float", "number", "absent", "tensor"],
)
def test_extractor_refuses_what_it_cannot_read(weights: Path, wrong: Any) -> None:
    with pytest.raises(ConfigError):
        FeatureExtractor("osnet_x0_25", weights=weights, **SIZE)(wrong)


def test_extractor_mistyped_weights_are_an_error(weights: Path) -> None:
    with pytest.raises(WeightsError, match="is not there"):
        FeatureExtractor("osnet_x0_25", weights=weights.with_name("osnet_x0_25.pht"))
