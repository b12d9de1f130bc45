"""The settings of each stage: frozen models, every field with its unit and range.

Where a stage has several implementations the field ``name`` chooses one, and the other fields are exactly the keyword
arguments of its class (checked by ``tests/test_settings.py``).
"""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

__all__ = [
    "AssociateSettings",
    "BoTSortSettings",
    "ByteTrackSettings",
    "DeepSORTSettings",
    "DetectSettings",
    "EmbedSettings",
    "LiveSettings",
    "OCSortSettings",
    "OfflineSettings",
    "OnlineSettings",
    "OutputSettings",
    "PoolSettings",
    "RefineSettings",
    "RuntimeSettings",
    "Section",
    "SortSettings",
    "SourceSettings",
    "SteadySettings",
    "StoreSettings",
    "TrackSettings",
]

Fraction: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Seconds: TypeAlias = Annotated[float, Field(ge=0)]


class Section(BaseModel):
    """Base of all settings: frozen, strict about unknown keys, no NaN."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class RuntimeSettings(Section):
    """How nets are run."""

    backend: Literal["auto", "onnxruntime", "openvino", "tflite", "torch"] = Field(
        "auto", description="auto: onnxruntime for .onnx, OpenVINO for .xml, tflite for .tflite"
    )
    threads: Annotated[int, Field(ge=1, le=256)] | None = Field(
        None, description="threads of one inference; null: as many as there are cores"
    )


class SourceSettings(Section):
    """How cameras are read."""

    start_s: float = Field(0.0, ge=0, description="seconds to skip at the start of every file")
    duration_s: Annotated[float, Field(gt=0)] | None = Field(None, description="seconds to read; null: to the end")
    every: int = Field(1, ge=1, le=1000, description="detect on every n-th picture, predict between")
    queue: int = Field(4, ge=1, le=256, description="decoded pictures that may wait, for each camera")


class DetectSettings(Section):
    """Finding people."""

    name: Literal["yolo", "ultralytics", "replay"] = Field("yolo", description="implementation")
    model: str = Field("person_n", description="name in the weights manifest, or a path")
    min_score: Fraction = Field(0.1, description="boxes below are dropped")
    max_iou: Fraction = Field(0.65, description="non-maximum suppression: more overlap than this is one person")
    input_size: tuple[int, int] | None = Field(
        None, description="height and width of the net's input, pixels; null: as the model says"
    )
    classes: tuple[str, ...] = Field(("person",), min_length=1, description="class names to keep")
    files: dict[str, str] = Field({}, description="replay only: camera -> MOTChallenge detection file")


class EmbedSettings(Section):
    """Turning people into vectors."""

    name: Literal["osnet"] = Field("osnet", description="implementation")
    model: str = Field("osnet_x0_25", description="name in the weights manifest, or a path")
    max_batch: int = Field(32, ge=1, le=1024, description="crops in one inference")
    precision: Literal["f32", "bf16", "f16"] = Field(
        "f32", description="bf16 and f16 run on OpenVINO: faster where the CPU has them, cosine to f32 about 0.998"
    )


class AnyTracker(Section):
    """Fields that all trackers share."""

    max_age_s: float = Field(
        1.0, gt=0, le=3600, description="a person not seen for longer has left, seconds; a later return is a new track"
    )
    coast_s: Seconds = Field(0.0, description="also give people lost for up to so many seconds, where they should be")


class ByteTrackSettings(AnyTracker):
    """ByteTrack: overlap alone, low scores keep occluded people."""

    name: Literal["bytetrack"] = Field("bytetrack", description="implementation")
    high_score: Fraction = Field(0.6, description="scores from here on take part in the first pass")
    low_score: Fraction = Field(0.1, description="scores from here on take part in the second pass")
    new_score: Fraction = Field(0.7, description="scores from here on can begin a track")
    min_hits: int = Field(2, ge=1, le=1000, description="pictures in a row before a new person gets an id")
    first_limit: Fraction = Field(0.9, description="highest cost of the first pass: 1 - overlap * score")
    second_limit: Fraction = Field(0.5, description="highest cost of the second pass: 1 - overlap")
    new_limit: Fraction = Field(0.7, description="highest cost of a new track and its second detection")
    duplicate_overlap: Fraction = Field(0.85, description="a seen and a lost track with more overlap are one")


class DeepSORTSettings(AnyTracker):
    """DeepSORT: motion and appearance in a matching cascade."""

    name: Literal["deepsort"] = Field("deepsort", description="implementation")
    min_score: Fraction = Field(0.5, description="detections below are not used")
    min_hits: int = Field(3, ge=1, le=1000, description="pictures in a row before a new person gets an id")
    appearance_limit: float = Field(0.3, ge=0, le=2, description="highest cosine distance to the track's gallery")
    motion_limit: float = Field(9.4877, gt=0, description="highest squared Mahalanobis distance to the prediction")
    overlap_limit: Fraction = Field(0.7, description="highest cost of the passes by overlap: 1 - overlap")
    gallery_size: int = Field(100, ge=1, le=100_000, description="appearances kept for each track")


class SortSettings(AnyTracker):
    """SORT: motion and overlap, one pass."""

    name: Literal["sort"] = Field("sort", description="implementation")
    min_score: Fraction = Field(0.6, description="detections below are not used")
    max_age_s: float = Field(0.2, gt=0, le=3600, description="a person not seen for longer has left, seconds")
    min_hits: int = Field(3, ge=1, le=1000, description="pictures in a row before a new person gets an id")
    overlap_limit: Fraction = Field(0.7, description="highest cost of a pair: 1 - overlap")


class OCSortSettings(AnyTracker):
    """OC-SORT: motion seen from the observations."""

    name: Literal["ocsort"] = Field("ocsort", description="implementation")
    min_score: Fraction = Field(0.6, description="detections from here on take part in the first pass")
    low_score: Fraction = Field(1.0, description="detections from here on take part in a second pass; 1: none")
    min_hits: int = Field(3, ge=1, le=1000, description="pictures in a row before a new person gets an id")
    overlap_limit: Fraction = Field(0.7, description="highest cost of a pair: 1 - overlap")
    direction_weight: float = Field(0.2, ge=0, description="cost of a change of direction")
    direction_s: Seconds = Field(0.1, description="time over which a direction is measured, seconds")


class BoTSortSettings(AnyTracker):
    """BoT-SORT: ByteTrack with camera motion and appearance."""

    name: Literal["botsort"] = Field("botsort", description="implementation")
    high_score: Fraction = Field(0.6, description="scores from here on take part in the first pass")
    low_score: Fraction = Field(0.1, description="scores from here on take part in the second pass")
    new_score: Fraction = Field(0.7, description="scores from here on can begin a track")
    min_hits: int = Field(2, ge=1, le=1000, description="pictures in a row before a new person gets an id")
    first_limit: Fraction = Field(0.8, description="highest cost of the first pass")
    second_limit: Fraction = Field(0.5, description="highest cost of the second pass: 1 - overlap")
    near_overlap: Fraction = Field(0.5, description="highest cost of overlap at which appearance counts")
    appearance_limit: float = Field(0.25, ge=0, le=2, description="highest cosine distance at which appearance counts")
    duplicate_overlap: Fraction = Field(0.85, description="a seen and a lost track with more overlap are one")


class SteadySettings(AnyTracker):
    """The default: two passes by score, motion in real units, appearance where it decides."""

    name: Literal["steady"] = Field("steady", description="implementation")
    max_age_s: float = Field(
        1.5, gt=0, le=3600, description="a person not seen for longer has left, seconds, unless their look is known"
    )
    high_score: Fraction = Field(0.6, description="detections from here on are trusted")
    low_score: Fraction = Field(0.1, description="detections from here on can continue a track")
    new_score: Fraction = Field(0.7, description="detections from here on can begin a track")
    min_hits: int = Field(2, ge=1, le=1000, description="pictures in a row before a new person gets an id")
    wait_s: Seconds = Field(0.15, description="where pictures come slower, a new person gets an id at once, seconds")
    low_limit: float = Field(0.5, ge=0, le=1, description="highest cost (1 - overlap) in the passes by overlap")
    surprise_limit: float = Field(13.3, ge=0, description="highest cost of a pair in the first pass, as chi-square")
    duplicate_overlap: Fraction = Field(0.85, description="a seen and a lost track with more overlap are one")
    moving_camera: bool = Field(True, description="correct for a camera that pans, shakes or drives")
    appearance: bool = Field(True, description="ask for embeddings where they would decide")
    same_look: float = Field(0.55, ge=-1, le=1, description="cosine from which two crops are rather one person")
    refresh_s: Seconds = Field(1.0, description="ask for a person's appearance again after this time, seconds")
    memory_s: Seconds = Field(
        10.0, description="how long somebody who has left can be known again by appearance, seconds"
    )
    return_look: float = Field(0.8, ge=-1, le=1, description="cosine from which somebody who has left is known again")
    coast_s: Seconds = Field(0.04, description="also give people lost for up to so many seconds, where they should be")


class PoolSettings(Section):
    """From a track's crops to one vector."""

    name: Literal["quality"] = Field("quality", description="implementation")
    method: Literal["attention", "gem", "mean", "median", "medoid", "quality"] = Field(
        "gem", description="how crops become one vector"
    )
    prototypes: int = Field(12, ge=1, le=1000, description="most crops kept of a track")
    first_gap_s: float = Field(0.2, gt=0, description="time between the first and the second crop, seconds")
    growth: float = Field(1.6, ge=1, description="each further gap is so much longer")
    refresh_s: float = Field(4.0, gt=0, description="longest gap, seconds")
    clean: Fraction = Field(0.4, description="least quality of a crop that is asked for when due")
    patience_s: Seconds = Field(1.0, description="when overdue by so many seconds a worse crop will do")
    max_per_frame: int = Field(8, ge=0, description="most crops in one picture, first crops of new tracks not counted")
    sharpness: bool = Field(False, description="let blurred crops count less")
    path_points: int = Field(160, ge=2, le=100_000, description="most moments kept of a track's path")
    path_step_s: float = Field(0.2, gt=0, description="time between two of them while the track is young, seconds")


class AnyAssociator(Section):
    """Fields that both associators share."""

    threshold: Annotated[float, Field(ge=-1, le=1)] | None = Field(
        None, description="similarity above which tracklets are one person; null: found by itself"
    )
    transits: dict[str, str | tuple[float, float]] | None = Field(
        None, description="'gate -> lobby': '5-40 s', the time people take from one camera to another, if known"
    )
    offsets: dict[str, float] | None = Field(None, description="camera: seconds to add to its clock")
    planes: dict[str, tuple[tuple[float, float, float, float], ...]] | None = Field(
        None, description="camera: four points [x, y, metres, metres], pixels and the same spots on one floor"
    )


class OfflineSettings(AnyAssociator):
    """All tracklets at once, at the end: for recorded files."""

    name: Literal["offline"] = Field("offline", description="implementation")
    false_match_rate: float = Field(0.01, gt=0, lt=1, description="share of different people taken for one")
    overlap: bool = Field(True, description="let overlapping views find themselves, and use where people stand")


class OnlineSettings(AnyAssociator):
    """While cameras run: late rather than wrong, and corrected."""

    name: Literal["online"] = Field("online", description="implementation")
    window_s: Seconds = Field(0.5, description="decisions are made this often, seconds")
    delay_s: Seconds = Field(2.0, description="longest wait for more evidence, seconds")
    enough: Fraction = Field(0.6, description="quality of a tracklet that need not wait")
    margin: float = Field(1.0, ge=0, description="log-odds by which another identity must be better to correct a link")
    review_s: Seconds = Field(10.0, description="recent identities are looked at again this often, seconds")
    review_tracklets: int = Field(1000, ge=0, description="most tracklets of such a review")
    false_match_rate: float = Field(0.01, gt=0, lt=1, description="share of different people taken for one")
    max_identities: int = Field(100_000, ge=1, description="size of the gallery")
    max_members: int = Field(12, ge=1, description="tracks remembered of each identity")


TrackSettings: TypeAlias = Annotated[
    BoTSortSettings | ByteTrackSettings | DeepSORTSettings | OCSortSettings | SortSettings | SteadySettings,
    Field(discriminator="name"),
]
AssociateSettings: TypeAlias = Annotated[OfflineSettings | OnlineSettings, Field(discriminator="name")]


class RefineSettings(Section):
    """What is done to the tracks of recorded files once everything is known."""

    enabled: bool = Field(True, description="cut and join tracks, smooth the boxes and fill short gaps")
    split: bool = Field(True, description="cut a track whose look changes to that of another person")
    join_gap_s: Seconds = Field(1.5, description="longest break over which fragments of one person are joined, seconds")
    fill_gap_s: Seconds = Field(0.85, description="longest gap that is filled, seconds")
    min_length_s: Seconds = Field(0.6, description="people seen for less than so many seconds in a camera are dropped")


class OutputSettings(Section):
    """What a run writes."""

    video: bool = Field(True, description="annotated H.264 video of every camera")
    trace_s: Seconds = Field(0.0, description="length of the drawn trace, seconds; 0: none")
    crf: int = Field(23, ge=0, le=51, description="x264 quality, smaller is better and larger files")
    preset: Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium"] = Field(
        "superfast", description="x264 speed"
    )
    thumbnails: bool = Field(True, description="one small picture for each identity")
    blur: Literal["nobody", "heads", "people"] = Field(
        "nobody", description="make people unrecognisable in every picture that is written or shown"
    )
    report: bool = Field(True, description="report.html, one file to open in a browser")


class StoreSettings(Section):
    """People kept across runs."""

    path: str | None = Field(None, description="the file; null: every run begins with nobody known")
    thumbnails: bool | None = Field(
        None, description="keep pictures; false: numbers only; null: as the store was made, and as output.thumbnails"
    )
    retain_days: Annotated[float, Field(gt=0, le=36500)] | None = Field(
        None, description="whoever was not seen for so many days is deleted, at the start and while cameras run"
    )
    wait_s: float = Field(10.0, ge=0, le=3600, description="longest wait for another process that writes, seconds")


LEAST_PRIORITY = 0.1
MOST_PRIORITY = 10.0


class LiveSettings(Section):
    """Cameras that run for weeks: how they are connected, and what is done when there is too much to do."""

    transport: Literal["tcp", "udp"] = Field("tcp", description="of RTSP: tcp loses nothing, udp waits for nothing")
    open_timeout_s: float = Field(10.0, gt=0, le=600, description="longest wait for a connection, seconds")
    stall_s: float = Field(2.0, ge=0.1, le=600, description="shortest silence that counts as a stall, seconds")
    max_retries: Annotated[int, Field(ge=0)] | None = Field(
        None, description="failed connections in a row before a camera is given up; null: never"
    )
    retry_s: float = Field(
        0.5, gt=0, le=3600, description="wait before the first new connection, seconds; then doubled"
    )
    retry_max_s: float = Field(10.0, gt=0, le=3600, description="longest wait between connections, seconds")
    credentials: str | None = Field(None, description="YAML file with 'camera or host: user:password'")
    cameras: str | None = Field(
        None, description="YAML file with 'name: address'; may be changed while they run, to add, remove or pause some"
    )
    priority: dict[str, Annotated[float, Field(ge=LEAST_PRIORITY, le=MOST_PRIORITY)]] = Field(
        default_factory=dict,
        description="camera -> priority, 1 where it is not named: when there is too much to do, that of 2 has twice as "
        "many pictures worked on as that of 1",
    )
    detect_gap_s: Seconds = Field(
        0.0,
        description="least time between detections of one camera, seconds; 0: every picture, as far as there is time",
    )
    max_batch: int = Field(
        1,
        ge=1,
        le=256,
        description="most pictures in one detection: several take memory for as many, and no less time on a few cores",
    )
    step_s: float = Field(0.1, gt=0, le=10, description="time that one step should take at most, seconds")
    max_tracks: int = Field(5000, ge=1, le=1_000_000, description="tracks remembered for identities.json")
    max_identities: int = Field(5000, ge=1, le=1_000_000, description="people remembered")
    rotate_mb: float = Field(64.0, gt=0, description="size from which frames.jsonl and events.jsonl are begun anew, MB")
    rotate_s: float = Field(86400.0, gt=0, description="age from which they are begun anew, seconds")
    keep_files: int = Field(100, ge=0, description="older ones that are kept; 0: all")
    record: bool = Field(False, description="annotated video of every camera, in segments")
    record_s: float = Field(300.0, ge=1, le=86400, description="length of a segment, seconds")
    record_gb: float = Field(20.0, gt=0, description="of all segments together; the oldest go, GB")
    send: tuple[str, ...] = Field(
        (),
        description="where events go besides the file: https://host/hook, mqtt://host:1883/topic; -: these and the "
        "lines of frames.jsonl to standard output",
    )
    serve: str | None = Field(
        None,
        description="HOST:PORT of status page, metrics and health; elsewhere than loopback REIDPIPE_TOKEN is needed",
    )
    report_s: float = Field(10.0, ge=0.1, le=3600, description="time between two counts of drops, seconds")
