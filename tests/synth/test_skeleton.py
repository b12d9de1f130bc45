from __future__ import annotations

import numpy as np
import pytest

from reidpipe.synth.skeleton import BONES, JOINTS, bone_matrices, gait_angles

STYLE = np.array([[1.0, 0.2, 0.04, 0.05, 0.0, 0.0]])
LEFT = [bone for bone in range(len(BONES)) if BONES[bone].endswith("_l")]
RIGHT = [BONES.index(BONES[bone][:-1] + "r") for bone in LEFT]


def walk(phases: np.ndarray, amplitude: float = 1.0, heading: float = 0.0) -> np.ndarray:
    """World positions of the joints, (P, 17, 3)."""
    count = len(phases)
    angles = gait_angles(phases, np.full(count, amplitude), np.repeat(STYLE, count, axis=0))
    joints = np.repeat(JOINTS[None], count, axis=0)
    matrices = bone_matrices(angles, joints, np.zeros((count, 2)), np.full(count, heading))
    turned = np.einsum("pbij,pbj->pbi", matrices[..., :3], joints)
    return np.asarray(turned + matrices[..., 3])


def test_skeleton_feet_stay_on_the_ground_at_every_phase() -> None:
    points = walk(np.linspace(0, 1, 41))
    lowest = points[:, [BONES.index("foot_l"), BONES.index("foot_r")], 2].min(axis=1)
    # The ankle joint is 7.5 cm above the sole; it may rise while the heel lifts, never sink.
    assert (lowest > 0.06).all()
    assert (lowest < 0.16).all()


def test_skeleton_half_a_stride_later_left_and_right_have_changed_places() -> None:
    phases = np.linspace(0, 1, 11)
    now, later = walk(phases), walk(phases + 0.5)
    mirrored = later[:, RIGHT] * (1, -1, 1)
    np.testing.assert_allclose(now[:, LEFT], mirrored, atol=1e-9)


def test_skeleton_legs_and_arms_swing_against_each_other() -> None:
    points = walk(np.array([0.0]))[0]
    ahead = {bone: points[BONES.index(bone), 0] for bone in ("foot_l", "foot_r", "hand_l", "hand_r")}
    assert ahead["foot_l"] > ahead["foot_r"] + 0.4
    assert ahead["hand_r"] > ahead["hand_l"] + 0.15


def test_skeleton_knees_bend_backwards_only() -> None:
    angles = gait_angles(np.linspace(0, 1, 101), np.ones(101), np.repeat(STYLE, 101, axis=0))
    knees = angles[:, [BONES.index("shin_l"), BONES.index("shin_r")], 1]
    assert (knees > 0).all()
    assert 0.9 < knees.max() < 1.2


def test_skeleton_people_stand_upright_when_they_do_not_walk() -> None:
    points = walk(np.array([0.3]), amplitude=0.0)[0]
    head, pelvis = points[BONES.index("head")], points[BONES.index("pelvis")]
    assert abs(head[0] - pelvis[0]) < 0.05
    assert head[2] == pytest.approx(1.53, abs=0.03)


def test_skeleton_heading_turns_the_whole_body() -> None:
    straight, turned = walk(np.array([0.2]))[0], walk(np.array([0.2]), heading=np.pi / 2)[0]
    np.testing.assert_allclose(turned, straight[:, [1, 0, 2]] * (-1, 1, 1), atol=1e-9)


def test_skeleton_bones_keep_their_length() -> None:
    points = walk(np.linspace(0, 1, 21))
    for upper, lower in (("thigh_l", "shin_l"), ("shin_r", "foot_r"), ("arm_l", "forearm_l"), ("forearm_r", "hand_r")):
        a, b = BONES.index(upper), BONES.index(lower)
        length = np.linalg.norm(points[:, a] - points[:, b], axis=1)
        np.testing.assert_allclose(length, np.linalg.norm(JOINTS[a] - JOINTS[b]), atol=1e-9)
