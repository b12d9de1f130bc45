"""Readers, cache, samplers, transforms: everything between image files and a batch."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from reidpipe.errors import ConfigError
from reidpipe.reid.batches import BatchMaker, TrainData
from reidpipe.reid.cache import build_cache, paths_digest, read_image
from reidpipe.reid.datasets import ReidSet, hold_out, merge_sets, query_gallery, read_set
from reidpipe.reid.samplers import PKSampler, RandomSampler
from reidpipe.reid.transforms import AugmentConfig, augment, shift_colours, warp

OFF = AugmentConfig(
    p_flip=0, scale=0, aspect=0, shift=0, rotate_degrees=0, brightness=0, contrast=0, saturation=0, hue_degrees=0,
    channel_gain=0, p_grey_world=0, p_grey=0, gamma=0, p_blur=0, p_low_resolution=0, p_jpeg=0, p_noise=0, p_erase=0,
)  # fmt: skip


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


LAYOUTS = [
    (
        "market1501",
        "train",
        ["bounding_box_train/0002_c1s1_000451_03.jpg", "bounding_box_train/-1_c1s1_1_0.jpg"],
        [(2, 1)],
    ),
    ("market1501", "gallery", ["bounding_box_test/0000_c6s3_1_0.jpg"], [(0, 6)]),
    ("cuhk01", "train", ["0001001.webp", "0001004.webp"], [(1, 0), (1, 1)]),
    ("cuhk01", "all", ["campus/0003002.png"], [(3, 0)]),
    ("cuhk03", "val", ["val/0007_04.webp", "val/0007_05.webp"], [(7, 0), (7, 1)]),
    ("cuhk03", "labeled", ["labeled/1_012_2_06.png"], [(10012, 3)]),
    ("viper", "query", ["cam_a/012_45.jpg"], [(12, 0)]),
    ("viper", "gallery", ["cam_b/012_90.bmp"], [(12, 1)]),
    ("grid", "gallery", ["gallery/0000_2_25023_116_134_128_330.jpeg"], [(0, 2)]),
    ("prid", "query", ["single_shot/cam_a/person_0001.png", "single_shot/cam_a/person_0385.png"], [(1, 0)]),
    ("ilids", "all", ["i-LIDS_Pedestrian/Persons/0001003.jpg"], [(1, -1)]),
    ("viper", "gallery", ["VIPeR/cam_b/012_90.bmp"], [(12, 1)]),
    ("grid", "query", ["underground_reid/probe/0003_2_x.jpeg"], [(3, 2)]),
    ("caviar", "all", ["CAVIARa/0001001.jpg", "CAVIARa/0001015.jpg"], [(1, 0), (1, 1)]),
    ("folder", "train", ["train/ann/c2_1.jpg", "train/bob/x.png"], [(0, 2), (1, -1)]),
    ("unlabelled", "train", ["a/1.png", "2.jpg"], [(-1, -1), (-1, -1)]),
]


@pytest.mark.parametrize(("name", "part", "files", "wanted"), LAYOUTS)
def test_datasets_standard_layouts(
    tmp_path: Path, name: str, part: str, files: list[str], wanted: list[tuple[int, int]]
) -> None:
    touch(tmp_path, *files, "readme.txt")
    found = read_set(name, tmp_path, part)
    assert list(zip(found.persons.tolist(), found.cameras.tolist(), strict=True)) == wanted


def test_datasets_msmt17_lists(tmp_path: Path) -> None:
    (tmp_path / "list_train.txt").write_text("0000/0000_000_01_0303morning_0015_0.jpg 0\n")
    (tmp_path / "list_val.txt").write_text("0005/0005_000_12_0303noon_0015_0.jpg 5\n")
    found = read_set("msmt17", tmp_path, "train")
    assert (found.persons.tolist(), found.cameras.tolist()) == ([0, 5], [1, 12])
    assert found.paths[0] == tmp_path / "train/0000/0000_000_01_0303morning_0015_0.jpg"


def test_datasets_combineall_joins_train_and_test_people(tmp_path: Path) -> None:
    touch(tmp_path, "bounding_box_train/0002_c1s1_1_0.jpg", "bounding_box_train/0007_c2s1_1_0.jpg")
    touch(tmp_path, "query/0003_c1s1_1_0.jpg")
    touch(tmp_path, "bounding_box_test/0003_c4s1_1_0.jpg", "bounding_box_test/0000_c4s1_1_0.jpg")
    found = read_set("market1501", tmp_path, "combineall")
    assert (found.persons.tolist(), found.cameras.tolist()) == ([2, 7, 11, 11], [1, 2, 1, 4])
    touch(tmp_path / "grid", "probe/0004_1_x.png", "gallery/0004_2_x.png", "gallery/0000_3_x.png")
    assert read_set("grid", tmp_path / "grid", "combineall").persons.tolist() == [4, 4]
    touch(tmp_path / "cuhk01", "0001001.png", "0001003.png")  # has no parts: everything is there already
    assert read_set("cuhk01", tmp_path / "cuhk01", "combineall").persons.tolist() == [1, 1]


@pytest.mark.parametrize("kind", ["labeled", "detected"])
def test_datasets_cuhk03_new_protocol(tmp_path: Path, kind: str) -> None:
    from scipy.io import savemat

    names = np.array([["1_001_1_01.png"], ["1_001_2_06.png"], ["2_003_1_01.png"]], dtype=object)
    table = {"filelist": names, "labels": [[1], [1], [9]], "camId": [[1], [2], [1]]}
    savemat(
        tmp_path / f"cuhk03_new_protocol_config_{kind}.mat",
        {**table, "train_idx": [[3]], "query_idx": [[2]], "gallery_idx": [[1]]},
    )
    query = read_set(f"cuhk03_{kind}", tmp_path, "query")
    assert query.paths == (tmp_path / f"images_{kind}" / "1_001_2_06.png",)
    assert (query.persons.tolist(), query.cameras.tolist()) == ([1], [2])
    assert read_set(f"cuhk03_{kind}", tmp_path, "train").persons.tolist() == [9]
    assert len(read_set(f"cuhk03_{kind}", tmp_path, "combineall")) == 3
    with pytest.raises(ConfigError, match="is not there: it comes with the new protocol"):
        read_set(f"cuhk03_{kind}", tmp_path / "elsewhere", "train")


def test_datasets_strange_file_names_are_one_line(tmp_path: Path) -> None:
    touch(tmp_path, "cam_a/ann_45.jpg")
    with pytest.raises(ConfigError, match=r"viper in .*: files are not named as this set names them"):
        read_set("viper", tmp_path, "query")


def test_datasets_csv(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("path,person,camera\na.jpg,4,2\nb/c.jpg,5,\n")
    found = read_set("csv", tmp_path, "train")
    assert found.paths == (tmp_path / "a.jpg", tmp_path / "b" / "c.jpg")
    assert (found.persons.tolist(), found.cameras.tolist()) == ([4, 5], [2, -1])
    (tmp_path / "query.csv").write_text("file,person\n")
    with pytest.raises(ConfigError, match="no column path"):
        read_set("csv", tmp_path, "query")


def test_datasets_errors_name_the_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown data set 'market'.*market1501"):
        read_set("market", tmp_path)
    with pytest.raises(ConfigError, match="bounding_box_train is not there"):
        read_set("market1501", tmp_path)
    (tmp_path / "bounding_box_train").mkdir()
    with pytest.raises(ConfigError, match="no images for part 'train'"):
        read_set("market1501", tmp_path)
    with pytest.raises(ConfigError, match="has no part 'test'"):
        read_set("market1501", tmp_path, "test")


def a_set(persons: list[int], cameras: list[int], name: str = "a") -> ReidSet:
    paths = tuple(Path(f"{name}{row}.jpg") for row in range(len(persons)))
    return ReidSet(name, paths, np.array(persons, dtype=np.int64), np.array(cameras, dtype=np.int64))


def test_datasets_merge_keeps_people_apart() -> None:
    merged = merge_sets([a_set([5, 9, 5], [1, 2, 1]), a_set([5, -1], [1, -1], "b")])
    assert merged.persons.tolist() == [0, 1, 0, 2, -1]
    assert merged.cameras.tolist() == [0, 1, 0, 2, -1]


def test_datasets_hold_out_takes_the_last_people() -> None:
    rest, held = hold_out(a_set([1, 2, 3, 3, 2], [0] * 5), identities=1)
    assert (rest.persons.tolist(), held.persons.tolist()) == ([1, 2, 2], [3, 3])
    with pytest.raises(ConfigError, match="cannot hold out 3 of the 3"):
        hold_out(rest := a_set([1, 2, 3], [0] * 3), identities=3)


def test_datasets_query_gallery_takes_the_first_image_per_camera() -> None:
    query, gallery = query_gallery(a_set([1, 1, 1, 2], [0, 0, 1, 0]))
    assert (query.persons.tolist(), gallery.paths) == ([1, 1, 2], (Path("a1.jpg"),))


def test_datasets_query_gallery_of_one_image_per_camera_still_has_a_gallery() -> None:
    query, gallery = query_gallery(a_set([1, 1, 2, 2, 2], [0, 1, 0, 1, 2]))
    assert (query.persons.tolist(), gallery.persons.tolist()) == ([1, 2], [1, 2, 2])


def test_cache_is_written_once_and_follows_the_list(tmp_path: Path) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), np.full((20, 10, 3), 40 * number + 10, dtype=np.uint8))
    paths = [tmp_path / f"{number}.png" for number in range(3)]
    seen: list[int] = []
    crops = build_cache(paths, tmp_path / "cache", height=8, width=4, on_progress=seen.append)
    assert (crops.shape, crops[:, 0, 0, 0].tolist(), seen) == ((3, 8, 4, 3), [10, 50, 90], [1, 2, 3])
    build_cache(paths, tmp_path / "cache", height=8, width=4, on_progress=seen.append)
    assert seen == [1, 2, 3]
    assert paths_digest(paths) != paths_digest(paths[::-1])


def test_cache_corrupt_image_is_named_and_leaves_no_cache(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"not a picture")
    with pytest.raises(ConfigError, match=r"bad\.jpg is not a readable image"):
        build_cache([tmp_path / "bad.jpg"], tmp_path / "cache", height=8, width=4)
    assert not list((tmp_path / "cache").glob("*.npy"))
    with pytest.raises(ConfigError, match=r"none\.jpg"):
        read_image(tmp_path / "none.jpg")


PERSONS = np.array([0, 0, 0, 0, 1, 1, 2, 3, 3, 3, -1, -1, -1], dtype=np.int64)
CAMERAS = np.array([0, 0, 0, 1, 0, 1, 0, 0, 0, 1, -1, -1, -1], dtype=np.int64)


def test_samplers_pk_batches() -> None:
    sampler = PKSampler(PERSONS, CAMERAS, identities=3, images=2, unlabelled=2, seed=5)
    seen = []
    for _ in range(4):
        rows = next(sampler)
        people = PERSONS[rows]
        assert rows.dtype == np.int64
        assert (people[0:6:2] == people[1:6:2]).all()
        assert len(set(people[:6].tolist())) == 3
        assert people[6:].tolist() == [-1, -1]
        seen += people[0:6:2].tolist()
    assert sorted(seen) == sorted([0, 1, 2, 3] * 3)  # a deck: nobody twice before all came once


def test_samplers_pk_images_of_a_person_come_from_different_cameras() -> None:
    sampler = PKSampler(PERSONS, CAMERAS, identities=4, images=2, seed=0)
    rows = next(sampler)
    for first, second in zip(rows[::2].tolist(), rows[1::2].tolist(), strict=True):
        if PERSONS[first] != 2:  # person 2 has one image only
            assert {int(CAMERAS[first]), int(CAMERAS[second])} == {0, 1}


@pytest.mark.parametrize("kind", ["pk", "random"])
def test_samplers_continue_where_they_were(kind: str) -> None:
    def make() -> PKSampler | RandomSampler:
        if kind == "random":
            return RandomSampler(13, batch=5, seed=2)
        return PKSampler(PERSONS, CAMERAS, identities=3, images=2, unlabelled=1, seed=2)

    one, two = make(), make()
    for _ in range(3):
        next(one)
    two.load_state_dict(one.state_dict())
    for _ in range(5):
        np.testing.assert_array_equal(next(one), next(two))


def test_samplers_random_sees_every_image_once_per_round() -> None:
    sampler = RandomSampler(10, batch=5, seed=0)
    assert sorted(np.concatenate([next(sampler), next(sampler)]).tolist()) == list(range(10))


def test_samplers_too_few_people_is_an_error() -> None:
    with pytest.raises(ConfigError, match="found 4"):
        PKSampler(PERSONS, CAMERAS, identities=5, images=2)
    with pytest.raises(ConfigError, match="found 3"):
        PKSampler(PERSONS, CAMERAS, identities=2, images=2, unlabelled=4)


def picture() -> np.ndarray:
    rows, columns = np.mgrid[0:64, 0:32]
    return np.stack([rows * 3, columns * 7, rows + columns], axis=-1).astype(np.uint8)


def test_transforms_switched_off_change_nothing() -> None:
    out = augment(picture(), OFF, np.random.default_rng(0), height=64, width=32)
    np.testing.assert_allclose(out.astype(int), picture().astype(int), atol=1)


def test_transforms_flip_mirrors() -> None:
    out = warp(picture(), OFF.model_copy(update={"p_flip": 1.0}), np.random.default_rng(0), height=64, width=32)
    np.testing.assert_allclose(out.astype(int), picture()[:, ::-1].astype(int), atol=1)


def test_transforms_resize_in_the_warp_keeps_the_picture() -> None:
    flat = cv2.GaussianBlur(picture(), (0, 0), 3)
    out = warp(flat, OFF, np.random.default_rng(0), height=32, width=16)
    np.testing.assert_allclose(out.astype(int), cv2.resize(flat, (16, 32)).astype(int), atol=4)


def test_transforms_grey_has_equal_channels() -> None:
    out = shift_colours(picture(), OFF.model_copy(update={"p_grey": 1.0}), np.random.default_rng(0))
    assert int(np.ptp(out.astype(int), axis=-1).max()) <= 1


def test_transforms_grey_world_equalises_the_means() -> None:
    cast = np.clip(picture().astype(int) // 2 + np.array([60, 80, 100]), 0, 255).astype(np.uint8)
    out = shift_colours(cast, OFF.model_copy(update={"p_grey_world": 1.0}), np.random.default_rng(0))
    assert np.ptp(out.reshape(-1, 3).mean(axis=0)) < 2 < np.ptp(cast.reshape(-1, 3).mean(axis=0))


def test_transforms_are_repeatable_and_keep_type() -> None:
    strong = AugmentConfig(p_blur=1, p_low_resolution=1, p_jpeg=1, p_noise=1, p_erase=1)
    once, again = (augment(picture(), strong, np.random.default_rng(9), height=48, width=24) for _ in range(2))
    assert once.dtype == np.uint8
    assert once.shape == (48, 24, 3)
    np.testing.assert_array_equal(once, again)
    other = augment(picture(), strong, np.random.default_rng(10), height=48, width=24)
    assert (once != other).any()


def some_data() -> TrainData:
    crops = np.random.default_rng(0).integers(0, 255, (13, 32, 16, 3), dtype=np.uint8)
    return TrainData(crops, PERSONS, CAMERAS, None)


def test_batches_do_not_depend_on_timing_and_wind_back() -> None:
    def maker(first: int, sampler: RandomSampler) -> BatchMaker:
        return BatchMaker(some_data(), sampler, AugmentConfig(), seed=4, first=first)

    with closing(maker(0, RandomSampler(13, batch=4, seed=1)).batches(height=16, width=8)) as made:
        straight = [next(made) for _ in range(6)]
    sampler = RandomSampler(13, batch=4, seed=1)
    again = []
    for first, count in ((0, 2), (2, 4)):  # closed and opened in between, as at a change of input size
        with closing(maker(first, sampler).batches(height=16, width=8)) as made:
            again += [next(made) for _ in range(count)]
    for one, two in zip(straight, again, strict=True):
        np.testing.assert_array_equal(one.rows, two.rows)
        np.testing.assert_array_equal(one.images, two.images)


def test_batches_error_in_the_thread_is_raised_here() -> None:
    data = TrainData(some_data().crops[:2], PERSONS, CAMERAS, None)  # rows beyond the crops
    maker = BatchMaker(data, RandomSampler(13, batch=13), AugmentConfig(), seed=0)
    with closing(maker.batches(height=16, width=8)) as made, pytest.raises(IndexError):
        next(made)


def test_train_data_counts_identities() -> None:
    assert some_data().identities == 4
