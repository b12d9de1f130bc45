from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from reidpipe.detect.ultralytics import UltralyticsDetector
from reidpipe.errors import ConfigError, MissingExtraError, WeightsError


def test_ultralytics_file_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no such model file"):
        UltralyticsDetector(tmp_path / "yolov8n.pt")


def test_ultralytics_missing_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.pt").write_bytes(b"x" * 100)
    monkeypatch.setitem(sys.modules, "ultralytics", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'reidpipe\[ultralytics\]'"):
        UltralyticsDetector(tmp_path / "net.pt")


@pytest.fixture(scope="module")
def random_net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A net of the right shape that never learnt anything."""
    ultralytics = pytest.importorskip("ultralytics", reason="needs the extra ultralytics")
    path = tmp_path_factory.mktemp("ultralytics") / "random.pt"
    ultralytics.YOLO("yolov8n.yaml").save(path)
    return path


def test_ultralytics_detects_in_pictures_of_any_size(random_net: Path) -> None:
    detector = UltralyticsDetector(random_net, min_score=0.0, input_size=64, classes=(0,))
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 256, (h, w, 3), np.uint8) for h, w in ((60, 80), (80, 60))]
    found = detector.detect(images)
    assert [len(one) > 0 for one in found] == [True, True]
    for one, image in zip(found, images, strict=True):
        assert (one.boxes >= 0).all()
        assert (one.boxes[:, 2] <= image.shape[1]).all()
        assert (one.boxes[:, 3] <= image.shape[0]).all()
    assert detector.detect([]) == []


def test_ultralytics_refuses_unknown_classes_and_garbage(random_net: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="'unicorn'"):
        UltralyticsDetector(random_net, classes=("unicorn",))
    (tmp_path / "net.pt").write_bytes(b"x" * 1000)
    with pytest.raises(WeightsError, match="cannot load it"):
        UltralyticsDetector(tmp_path / "net.pt")
