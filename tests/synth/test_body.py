from __future__ import annotations

import numpy as np
import pytest

from reidpipe.synth.anatomy import ATLAS, ATLAS_SIZE
from reidpipe.synth.body import build_body, rest_joints
from reidpipe.synth.paint import paint_atlas
from reidpipe.synth.wardrobe import sample_look

LOOKS = [sample_look(2, index) for index in range(40)]


def test_wardrobe_same_seed_same_person_and_others_differ() -> None:
    assert sample_look(2, 7) == LOOKS[7]
    assert sample_look(3, 7) != LOOKS[7]
    assert len({(look.top, look.top_colour, look.bottom_colour, look.hair) for look in LOOKS}) == 40


def test_wardrobe_people_are_of_human_size() -> None:
    heights = np.array([sample_look(1, index).height_m for index in range(200)])
    assert heights.min() >= 1.2
    assert heights.max() <= 1.98
    assert 1.6 < heights.mean() < 1.78


@pytest.mark.parametrize("look", LOOKS[:20], ids=lambda look: f"{look.top}-{look.bottom}-{look.hair}-{look.bag}")
def test_body_stands_on_the_ground_and_is_as_tall_as_said(look) -> None:  # type: ignore[no-untyped-def]
    mesh = build_body(look)
    low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
    assert abs(low[2]) < 0.01
    # Hair and hats add up to 7 cm, a child's larger head up to 6 cm.
    assert look.height_m - 0.01 < high[2] < look.height_m + 0.13
    assert 0.35 < high[1] - low[1] < 0.95
    np.testing.assert_allclose(mesh.weights.sum(axis=1), 1.0, atol=1e-9)
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1.0, atol=1e-6)
    assert mesh.faces.min() == 0
    assert mesh.faces.max() == len(mesh.vertices) - 1
    assert mesh.texels.min() >= 0
    assert mesh.texels.max() < ATLAS_SIZE


def test_body_normals_point_outwards() -> None:
    mesh = build_body(LOOKS[0])
    a, b, c = (mesh.vertices[mesh.faces[:, corner]] for corner in range(3))
    facet = np.cross(b - a, c - a)
    agree = np.einsum("ij,ij->i", facet, mesh.normals[mesh.faces].mean(axis=1))
    area = np.linalg.norm(facet, axis=1)
    # Facets of no area at the caps have no direction.
    assert (agree[area > 1e-7] > 0).mean() > 0.99


def test_body_joints_lie_inside_of_the_body() -> None:
    for look in LOOKS[:8]:
        mesh, joints = build_body(look), rest_joints(look)
        low, high = mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)
        assert ((joints > low) & (joints < high)).all()


def test_atlas_parts_do_not_overlap_and_fit() -> None:
    used = np.zeros((ATLAS_SIZE, ATLAS_SIZE), dtype=int)
    for x, y, width, height in ATLAS.values():
        assert x + width <= ATLAS_SIZE
        assert y + height <= ATLAS_SIZE
        used[y : y + height, x : x + width] += 1
    assert used.max() == 1


def test_paint_wears_the_colours_of_the_look_and_repeats() -> None:
    look = next(look for look in LOOKS if look.pattern == "plain" and look.top in ("tshirt", "hoodie", "sweater"))
    atlas = paint_atlas(look)
    assert atlas.dtype == np.float32
    assert atlas.min() > 0
    assert atlas.max() < 1
    x, y, width, height = ATLAS["torso"]
    chest = np.sqrt(atlas[y + height // 4 : y + height // 2, x + width // 3 : x + 2 * width // 3]).mean(axis=(0, 1))
    np.testing.assert_allclose(chest, look.top_colour, atol=0.05)
    np.testing.assert_array_equal(atlas, paint_atlas(look))
