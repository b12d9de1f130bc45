"""People data sets by their standard layouts: image paths with a person number and a camera number.

Every reader takes the root folder and a part (`train`, `query` or `gallery`) and returns a :class:`ReidSet`.
Person numbers are those of the file names; they mean nothing outside their own set, see :func:`merge_sets`.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reidpipe.errors import ConfigError
from reidpipe.types import Ids, Mask

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp"})
UNKNOWN = -1  # person or camera that the set does not state


@dataclass(frozen=True, slots=True)
class ReidSet:
    """Crops of people with their labels.

    Attributes:
        name: Name of the set, for messages and tables.
        paths: `N` image files, in the sorted order of the reader.
        persons: int64 `(N,)`, person number, -1 = no identity known (distillation only).
        cameras: int64 `(N,)`, camera number, -1 = unknown.
    """

    name: str
    paths: tuple[Path, ...]
    persons: Ids
    cameras: Ids

    def __post_init__(self) -> None:
        for field in ("persons", "cameras"):
            value = getattr(self, field)
            if value.dtype != np.int64 or value.shape != (len(self.paths),):
                raise ValueError(
                    f"{field} must be int64 ({len(self.paths)},), got {value.dtype} {value.shape} in '{self.name}'"
                )

    def __len__(self) -> int:
        return len(self.paths)

    def select(self, rows: Sequence[int] | Ids | Mask) -> ReidSet:
        """Return the set reduced to `rows` (int64 positions or a boolean mask), in that order."""
        index = np.arange(len(self))[np.asarray(rows)]
        return ReidSet(self.name, tuple(self.paths[i] for i in index), self.persons[index], self.cameras[index])


def read_set(name: str, root: Path, part: str = "train") -> ReidSet:
    """Read one part of a known data set.

    Args:
        name: A key of :data:`READERS`, for instance `market1501`.
        root: Folder of the data set.
        part: `train`, `query` or `gallery`; `all` where a set has no fixed parts; `combineall` for training on the
            train and test persons of a set together, distractors left out.

    Raises:
        ConfigError: Unknown set or part, a folder that is not there, or no image in it.
    """
    if name not in READERS:
        raise ConfigError(f"unknown data set '{name}': use one of {', '.join(sorted(READERS))}")
    try:
        found = _combine_all(name, root) if part == "combineall" else READERS[name](root, part)
    except (ValueError, IndexError) as error:
        raise ConfigError(f"{name} in {root}: files are not named as this set names them ({error})") from error
    if not found:
        raise ConfigError(f"no images for part '{part}' of {name} in {root}: check the folder")
    return found


def merge_sets(sets: Sequence[ReidSet], *, name: str = "merged") -> ReidSet:
    """Join sets: persons become 0..P-1 over all sets and cameras 0..C-1, both without collisions (-1 stays -1)."""
    persons = _renumber([found.persons for found in sets])
    cameras = _renumber([found.cameras for found in sets])
    return ReidSet(name, tuple(path for found in sets for path in found.paths), persons, cameras)


def hold_out(found: ReidSet, *, identities: int) -> tuple[ReidSet, ReidSet]:
    """Split off the last `identities` persons (by number) for validation; returns `(rest, held_out)`.

    Raises:
        ConfigError: The set has not more than `identities` persons.
    """
    known = np.unique(found.persons[found.persons >= 0])
    if identities >= len(known):
        raise ConfigError(f"cannot hold out {identities} of the {len(known)} persons of {found.name}: lower the number")
    held = np.isin(found.persons, known[len(known) - identities :])
    return found.select(~held), found.select(held)


def query_gallery(found: ReidSet) -> tuple[ReidSet, ReidSet]:
    """Make a retrieval test of a labelled set: the first image per person and camera is a query, all else gallery.

    A person that would have nothing in the gallery (one image per camera) has the first image as its only query.
    """
    is_query = np.zeros(len(found), dtype=bool)
    for person in np.unique(found.persons):
        rows = np.flatnonzero(found.persons == person)
        _, first = np.unique(found.cameras[rows], return_index=True)
        is_query[rows[first]] = True
        if len(first) == len(rows):
            is_query[rows[1:]] = False
    return found.select(is_query), found.select(~is_query)


def _combine_all(name: str, root: Path) -> ReidSet:
    """Every person of a set; those of a test part are numbered behind those of the train part."""
    if name not in COMBINED:
        return READERS[name](root, "all")
    names, least = COMBINED[name]
    parts: list[ReidSet] = []
    first = 0
    for part in names:
        found = READERS[name](root, part)
        people = found.select(found.persons >= (0 if part == "train" else least))
        parts.append(ReidSet(name, people.paths, people.persons + first, people.cameras))
        if part == "train":
            first = int(people.persons.max(initial=-1)) + 1
    paths = tuple(path for part in parts for path in part.paths)
    persons = np.concatenate([part.persons for part in parts])
    return ReidSet(name, paths, persons, np.concatenate([part.cameras for part in parts]))


def _renumber(columns: Sequence[Ids]) -> Ids:
    out: list[Ids] = []
    start = 0
    for column in columns:
        known = np.unique(column[column >= 0])
        position = np.searchsorted(known, column).astype(np.int64) + start
        out.append(np.where(column >= 0, position, np.int64(UNKNOWN)))
        start += len(known)
    return np.concatenate(out) if out else np.zeros(0, dtype=np.int64)


def _images(folder: Path, name: str, *, deep: bool = False) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError(f"{name}: folder {folder} is not there: give the data set's root folder")
    entries = folder.rglob("*") if deep else folder.iterdir()
    return sorted(path for path in entries if path.suffix.lower() in IMAGE_SUFFIXES)


def _build(name: str, rows: Iterable[tuple[Path, int, int]]) -> ReidSet:
    table = list(rows)
    persons = np.array([row[1] for row in table], dtype=np.int64)
    cameras = np.array([row[2] for row in table], dtype=np.int64)
    return ReidSet(name, tuple(row[0] for row in table), persons, cameras)


def _part_folder(name: str, part: str, folders: dict[str, str]) -> str:
    if part not in folders:
        raise ConfigError(f"{name} has no part '{part}': use one of {', '.join(folders)}")
    return folders[part]


def read_market1501(root: Path, part: str) -> ReidSet:
    """Market-1501 (also DukeMTMC): `<person>_c<camera>s<sequence>_...`; junk rows (person -1) are left out."""
    folders = {"train": "bounding_box_train", "query": "query", "gallery": "bounding_box_test"}
    folder = root / _part_folder("market1501", part, folders)
    pattern = re.compile(r"^(-?\d+)_c(\d+)")
    rows = []
    for path in _images(folder, "market1501"):
        match = pattern.match(path.name)
        if match and int(match[1]) >= 0:
            rows.append((path, int(match[1]), int(match[2])))
    return _build("market1501", rows)


def read_msmt17(root: Path, part: str) -> ReidSet:
    """MSMT17 V1 or V2 through its list files (`list_train.txt`, ...): `<person>_<index>_<camera>_...`."""
    version = next((prefix for prefix in ("mask_", "") if (root / f"{prefix}train_v2").is_dir()), None)
    train, test = (f"{version}train_v2", f"{version}test_v2") if version is not None else ("train", "test")
    lists = {
        "train": (("list_train.txt", train), ("list_val.txt", train)),
        "query": (("list_query.txt", test),),
        "gallery": (("list_gallery.txt", test),),
    }
    if part not in lists:
        raise ConfigError(f"msmt17 has no part '{part}': use one of {', '.join(lists)}")
    rows = []
    for list_name, folder in lists[part]:
        list_file = root / list_name
        if not list_file.is_file():
            raise ConfigError(f"msmt17: list file {list_file} is not there: give the data set's root folder")
        for line in list_file.read_text().splitlines():
            relative, person = line.rsplit(" ", 1)
            rows.append((root / folder / relative, int(person), int(Path(relative).name.split("_")[2])))
    return _build("msmt17", rows)


def read_cuhk01(root: Path, part: str) -> ReidSet:
    """CUHK01: `<person:4><n:3>`, n 1-2 = camera 0, 3-4 = camera 1; images in the root or in `campus/`."""
    _part_folder("cuhk01", part, {"train": "", "all": ""})
    folder = root / "campus" if (root / "campus").is_dir() else root
    rows = [(path, int(path.stem[:4]), (int(path.stem[4:7]) - 1) // 2) for path in _images(folder, "cuhk01")]
    return _build("cuhk01", rows)


def read_cuhk03(root: Path, part: str) -> ReidSet:
    """CUHK03 unpacked to images in `<root>/<part>`.

    Names are `<person:4>_<k>` (k 0-4 = camera 0, 5-9 = camera 1) or `<pair>_<person>_<camera>_<k>`.
    """
    rows = []
    for path in _images(root / part, "cuhk03"):
        fields = [int(field) for field in path.stem.split("_")]
        if len(fields) == 2:
            rows.append((path, fields[0], fields[1] // 5))
        elif len(fields) == 4:  # camera pair, person in the pair, camera 1 or 2, index
            rows.append((path, fields[0] * 10_000 + fields[1], fields[0] * 2 + fields[2] - 1))
        else:
            raise ConfigError(f"cuhk03: cannot read the person from {path.name}: expected <person>_<k>")
    return _build("cuhk03", rows)


def read_cuhk03_labeled(root: Path, part: str) -> ReidSet:
    """CUHK03, boxes drawn by hand, new protocol; see :func:`read_cuhk03_new`."""
    return read_cuhk03_new(root, part, kind="labeled")


def read_cuhk03_detected(root: Path, part: str) -> ReidSet:
    """CUHK03, boxes of a detector, new protocol; see :func:`read_cuhk03_new`."""
    return read_cuhk03_new(root, part, kind="detected")


def read_cuhk03_new(root: Path, part: str, *, kind: str) -> ReidSet:
    """CUHK03 by its new protocol (767 persons train, 700 test; Zhong et al., CVPR 2017).

    `<root>/cuhk03_new_protocol_config_<kind>.mat` says which of the files in `<root>/images_<kind>` are train, query
    and gallery.
    """
    table = root / f"cuhk03_new_protocol_config_{kind}.mat"
    if part not in ("train", "query", "gallery"):
        raise ConfigError(f"cuhk03_{kind} has no part '{part}': use one of train, query, gallery")
    if not table.is_file():
        raise ConfigError(f"cuhk03_{kind}: {table} is not there: it comes with the new protocol")
    from scipy.io import loadmat

    content = loadmat(table)
    names = [str(entry[0]) for entry in content["filelist"].ravel()]
    persons, cameras = (content[key].ravel().astype(np.int64) for key in ("labels", "camId"))
    chosen = content[f"{part}_idx"].ravel().astype(np.int64) - 1
    rows = [(root / f"images_{kind}" / names[row], int(persons[row]), int(cameras[row])) for row in chosen.tolist()]
    return _build(f"cuhk03_{kind}", rows)


def read_viper(root: Path, part: str) -> ReidSet:
    """VIPeR: `<person>_<angle>` in `cam_a` (query) and `cam_b` (gallery), in the root or in `VIPeR/`."""
    folders = {"query": ["cam_a"], "gallery": ["cam_b"], "all": ["cam_a", "cam_b"]}
    if part not in folders:
        raise ConfigError(f"viper has no part '{part}': use one of {', '.join(folders)}")
    base = root / "VIPeR" if (root / "VIPeR").is_dir() else root
    rows = []
    for folder in folders[part]:
        images = _images(base / folder, "viper")
        rows += [(path, int(path.stem.split("_")[0]), int(folder == "cam_b")) for path in images]
    return _build("viper", rows)


def read_grid(root: Path, part: str) -> ReidSet:
    """QMUL GRID: `<person>_<camera>_...` in `probe` and `gallery`, in the root or in `underground_reid/`.

    Person 0 or one that has no probe is a distractor of the gallery.
    """
    base = root / "underground_reid" if (root / "underground_reid").is_dir() else root
    folder = base / _part_folder("grid", part, {"query": "probe", "gallery": "gallery"})
    rows = []
    for path in _images(folder, "grid"):
        person, camera = path.stem.split("_")[:2]
        rows.append((path, int(person), int(camera)))
    return _build("grid", rows)


def read_prid(root: Path, part: str) -> ReidSet:
    """PRID 2011 single shot: `cam_a` (query: persons 1-200) and `cam_b` (gallery: all 749), `person_<id>.png`."""
    base = root / "single_shot" if (root / "single_shot").is_dir() else root
    folder = _part_folder("prid", part, {"query": "cam_a", "gallery": "cam_b"})
    rows = [(path, int(path.stem.split("_")[1]), int(folder == "cam_b")) for path in _images(base / folder, "prid")]
    return _build("prid", [row for row in rows if part == "gallery" or row[1] <= 200])


def read_ilids(root: Path, part: str) -> ReidSet:
    """i-LIDS MCTS: `<person:4><k:3>.jpg`, cameras are not stated."""
    _part_folder("ilids", part, {"all": ""})
    base = root / "i-LIDS_Pedestrian" / "Persons"
    images = _images(base if base.is_dir() else root, "ilids")
    return _build("ilids", [(path, int(path.stem[:4]), UNKNOWN) for path in images])


def read_caviar(root: Path, part: str) -> ReidSet:
    """CAVIAR4REID: `<person:4><k:3>.jpg`; the 22 last persons are seen by one camera only; k below 11 = camera 0."""
    _part_folder("caviar", part, {"all": ""})
    images = _images(root / "CAVIARa" if (root / "CAVIARa").is_dir() else root, "caviar")
    return _build("caviar", [(path, int(path.stem[:4]), int(int(path.stem[4:7]) > 10)) for path in images])


def read_mars_images(root: Path, part: str) -> ReidSet:
    """MARS for training: every frame of every tracklet of a part (see `reidpipe.reid.tracklets.read_mars`)."""
    from reidpipe.reid.tracklets import read_mars

    found = read_mars(root, part)
    tracklets = zip(found.frames, found.persons.tolist(), found.cameras.tolist(), strict=True)
    return _build("mars", ((path, person, camera) for paths, person, camera in tracklets for path in paths))


def read_folder(root: Path, part: str) -> ReidSet:
    """Own images: `<root>/<part>/<person>/<image>`, or `<root>/<person>/<image>` for part `all`.

    The camera is read from `c<number>` or `cam<number>` in the file name; without it the camera is unknown.
    """
    base = root if part == "all" else root / part
    rows = []
    numbers: dict[str, int] = {}
    for path in _images(base, "folder", deep=True):
        person = numbers.setdefault(path.parent.name, len(numbers))
        camera = re.search(r"(?:^|_)c(?:am)?(\d+)", path.stem)
        rows.append((path, person, int(camera[1]) if camera else UNKNOWN))
    return _build("folder", rows)


def read_csv(root: Path, part: str) -> ReidSet:
    """Own images: `<root>/<part>.csv`, or `root` itself a file.

    Columns are `path`, `person` and, if known, `camera`; paths are relative to the file.
    """
    table = root if root.is_file() else root / f"{part}.csv"
    if not table.is_file():
        raise ConfigError(f"csv: file {table} is not there: give a CSV with the columns path, person, camera")
    rows = []
    with table.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        missing = {"path", "person"} - set(reader.fieldnames or ())
        if missing:
            raise ConfigError(f"csv: {table} has no column {', '.join(sorted(missing))}")
        for row in reader:
            rows.append((table.parent / row["path"], int(row["person"]), int(row.get("camera") or UNKNOWN)))
    return _build("csv", rows)


def read_unlabelled(root: Path, part: str) -> ReidSet:
    """Crops of unknown people, any folder depth: no person, no camera; only distillation can use them."""
    _part_folder("unlabelled", part, {"train": "", "all": ""})
    return _build("unlabelled", [(path, UNKNOWN, UNKNOWN) for path in _images(root, "unlabelled", deep=True)])


_ALL_PARTS = ("train", "query", "gallery")
COMBINED: dict[str, tuple[tuple[str, ...], int]] = {
    "market1501": (_ALL_PARTS, 1),
    "dukemtmc": (_ALL_PARTS, 1),
    "msmt17": (_ALL_PARTS, 0),
    "cuhk03_labeled": (_ALL_PARTS, 0),
    "cuhk03_detected": (_ALL_PARTS, 0),
    "viper": (("query", "gallery"), 0),
    "grid": (("query", "gallery"), 1),
    "prid": (("query", "gallery"), 0),
}
"""Sets with fixed parts: what `combineall` joins, and the first number that is a person in a test part."""

READERS: dict[str, Callable[[Path, str], ReidSet]] = {
    "market1501": read_market1501,
    "dukemtmc": read_market1501,
    "msmt17": read_msmt17,
    "cuhk01": read_cuhk01,
    "cuhk03": read_cuhk03,
    "cuhk03_labeled": read_cuhk03_labeled,
    "cuhk03_detected": read_cuhk03_detected,
    "mars": read_mars_images,
    "viper": read_viper,
    "grid": read_grid,
    "prid": read_prid,
    "ilids": read_ilids,
    "caviar": read_caviar,
    "folder": read_folder,
    "unlabelled": read_unlabelled,
    "csv": read_csv,
}
