"""The shipped embedder gives the stored answers to stored synthetic people, on every backend and from torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reidpipe.embed.osnet import OSNetEmbedder
from reidpipe.reid.cache import read_image
from reidpipe.types import Boxes, Vectors

FOLDER = Path(__file__).parent / "shipped"
NAMES = sorted(path.stem for path in FOLDER.glob("*.npz"))
COSINE = 0.999  # the answers are stored as float16


def stored(name: str) -> tuple[Boxes, Vectors]:
    answer = np.load(FOLDER / f"{name}.npz")
    vectors = answer["vectors"].astype(np.float32)
    return answer["boxes"], vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_shipped_gives_the_stored_answers(name: str, backend: str) -> None:
    if backend == "openvino":
        pytest.importorskip("openvino", reason="the extra openvino is not installed")
    boxes, expected = stored(name)
    found = OSNetEmbedder(name, backend=backend).embed(read_image(FOLDER / "people.png"), boxes)
    assert (found * expected).sum(axis=1).min() > COSINE


@pytest.mark.parametrize("name", NAMES)
def test_shipped_state_dict_is_the_same_net(name: str, repo_root: Path) -> None:
    pytest.importorskip("torch")
    from reidpipe.reid.extractor import FeatureExtractor

    height, width = OSNetEmbedder(name).facts.input_size
    weights = repo_root / "weights" / f"{name}_reidpipe.pth"
    extractor = FeatureExtractor(name, weights=weights, height=height, width=width)
    boxes, expected = stored(name)
    strip = read_image(FOLDER / "people.png")
    edges = boxes.astype(int).tolist()
    features = extractor([strip[y1:y2, x1:x2] for x1, y1, x2, y2 in edges]).numpy()
    cosines = (features * expected).sum(axis=1) / np.linalg.norm(features, axis=1)
    assert cosines.min() > COSINE


@pytest.mark.parametrize("name", NAMES)
def test_shipped_tells_different_people_apart(name: str) -> None:
    _, vectors = stored(name)
    similar = vectors @ vectors.T
    assert len(vectors) >= 4
    assert similar[~np.eye(len(vectors), dtype=bool)].max() < 0.98


@pytest.mark.parametrize("name", NAMES)
def test_shipped_has_a_model_card(name: str, repo_root: Path) -> None:
    card = (repo_root / "weights" / f"{name}_reidpipe.md").read_text()
    assert all(word in card for word in ("sha256", "Market-1501", "CUHK01", "CUHK03", "research", "VIPeR", "GRID"))
