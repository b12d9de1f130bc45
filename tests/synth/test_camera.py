from __future__ import annotations

import numpy as np
import pytest

from reidpipe.synth.camera import Camera, Response, sample_response

CAMERA = Camera("cam", (1.0, 2.0, 3.0), yaw=0.4, pitch=0.25, focal_px=300.0, size=(320, 180), fps=10.0)


def test_camera_axes_are_a_right_handed_frame() -> None:
    axes = CAMERA.axes()
    np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(np.cross(axes[0], axes[1]), axes[2], atol=1e-12)


def test_camera_projects_its_axis_to_the_middle_of_the_frame() -> None:
    point = np.array(CAMERA.position) + 7.5 * CAMERA.axes()[2]
    xy, depth = CAMERA.project(point[None])
    np.testing.assert_allclose(xy, [[160.0, 90.0]], atol=1e-9)
    assert depth[0] == pytest.approx(7.5)


def test_camera_right_is_right_and_up_is_up() -> None:
    ahead = np.array(CAMERA.position) + 5 * CAMERA.axes()[2]
    left_of_it = ahead + np.array([-np.sin(CAMERA.yaw), np.cos(CAMERA.yaw), 0.0])
    xy, _ = CAMERA.project(np.stack([ahead, left_of_it, ahead + np.array([0, 0, 0.5])]))
    assert xy[1, 0] == pytest.approx(160 - 300 / 5)
    assert xy[2, 1] < xy[0, 1] - 20


def test_camera_things_behind_have_no_positive_depth() -> None:
    _, depth = CAMERA.project(np.array([CAMERA.position]) - 2 * CAMERA.axes()[2])
    assert depth[0] == pytest.approx(-2.0)


def test_camera_a_person_twice_as_far_is_half_as_tall() -> None:
    level = Camera("cam", (0.0, 0.0, 1.0), yaw=0.0, pitch=0.0, focal_px=200.0, size=(320, 180), fps=10.0)
    xy, _ = level.project(np.array([(4.0, 0, 0), (4.0, 0, 1.8), (8.0, 0, 0), (8.0, 0, 1.8)]))
    assert xy[0, 1] - xy[1, 1] == pytest.approx(90.0)
    assert xy[2, 1] - xy[3, 1] == pytest.approx(45.0)


def test_response_grey_stays_grey_and_more_light_is_brighter() -> None:
    plain = Response(vignette=0.0, noise=0.0)
    values = []
    for light in (0.05, 0.2, 0.6):
        picture = plain.develop(np.full((40, 60, 3), light, np.float32), 1.0, np.random.default_rng(0))
        assert picture.dtype == np.uint8
        assert picture.shape == (40, 60, 3)
        assert len(np.unique(picture)) == 1
        values.append(int(picture[0, 0, 0]))
    assert values == sorted(values)
    assert values[0] > 40
    assert values[2] < 255


def test_response_differs_between_cameras_as_told() -> None:
    scene = np.full((40, 60, 3), 0.25, np.float32)
    rng = np.random.default_rng(1)
    alike = [sample_response(rng, 0.0) for _ in range(2)]
    assert alike[0].exposure == alike[1].exposure == 1.0
    assert alike[0].white_balance == (1.0, 1.0, 1.0)
    different = [
        sample_response(rng, 1.0).develop(scene, 1.0, np.random.default_rng(0)).mean(axis=(0, 1)) for _ in range(8)
    ]
    assert np.ptp(np.array(different), axis=0).min() > 15


def test_response_noise_repeats_with_its_seed() -> None:
    scene = np.full((41, 63, 3), 0.25, np.float32)
    noisy = Response(noise=2.0)
    first = noisy.develop(scene, 1.0, np.random.default_rng(4))
    assert first.shape == (41, 63, 3)
    np.testing.assert_array_equal(first, noisy.develop(scene, 1.0, np.random.default_rng(4)))
    assert 1.0 < first[10:30, 20:40].astype(float).std() < 3.5
