"""What cameras are called, and what must never be shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from reidpipe.errors import ConfigError, SourceError
from reidpipe.source import camera_names, is_live, name_cameras, open_source, open_sources, redact, split_name
from tests.source.clips import make_clip


def test_names_come_from_the_stem() -> None:
    assert camera_names(["a/lobby.mp4", "gate 2.tar.mkv", "b/entrance.mp4"]) == ["lobby", "gate_2.tar", "entrance"]


def test_names_are_unique_and_the_same_file_may_come_twice() -> None:
    assert camera_names(["a/cam.mp4", "b/cam.mp4", "b/cam.mp4", "b/CAM.mp4"]) == ["cam", "cam-2", "cam-3", "CAM-4"]


def test_names_given_are_kept_and_the_others_give_way() -> None:
    assert camera_names(["x/gate.mp4", "gate=y.mp4", "z/gate.mp4"]) == ["gate-2", "gate", "gate-3"]
    assert name_cameras(["gate=y.mp4", "x.mp4"]) == [("gate", "y.mp4"), ("x", "x.mp4")]


def test_names_given_twice_are_an_error() -> None:
    with pytest.raises(ConfigError, match="two sources are called 'Gate'"):
        camera_names(["gate=a.mp4", "Gate=b.mp4"])


def test_names_of_a_folder_and_of_odd_paths(tmp_path: Path) -> None:
    (tmp_path / "seq.v1").mkdir()
    assert camera_names([str(tmp_path / "seq.v1"), "...", "0"]) == ["seq.v1", "camera", "webcam0"]


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("rtsp://10.0.0.7/stream", "10.0.0.7_stream"),
        ("rtsp://admin:s3cret@10.0.0.7:554/ch/1?token=s3cret", "10.0.0.7_ch_1"),
        ("rtsp://admin:s3cret/x@10.0.0.7/ch", "10.0.0.7_ch"),
    ],
)
def test_names_of_streams_hold_no_credentials(uri: str, name: str) -> None:
    assert camera_names([uri]) == [name]


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("lobby.mp4", "lobby.mp4"),
        ("user:pw@home.mp4", "user:pw@home.mp4"),
        ("rtsp://10.0.0.7/stream", "rtsp://10.0.0.7/stream"),
        ("rtsp://admin:s3cret@10.0.0.7:554/stream", "rtsp://10.0.0.7:554/stream"),
        ("RTSP://admin@10.0.0.7/stream", "RTSP://10.0.0.7/stream"),
        ("rtsp://admin:s3@cret@10.0.0.7/stream", "rtsp://10.0.0.7/stream"),
        ("rtsp://admin:s3/cret@10.0.0.7/stream", "rtsp://10.0.0.7/stream"),
        ("rtsp://admin:s3?cret#x@10.0.0.7/stream", "rtsp://10.0.0.7/stream"),
        ("http://h/v?user=a&password=s3cret&x=1", "http://h/v?user=***&password=***&x=1"),
        ("http://h/v?access_token=s3cret&apikey=t&x=1&pw=u", "http://h/v?access_token=***&apikey=***&x=1&pw=***"),
        ("rtsp://h:554/user=a_password=s3_cr3t_channel=1.sdp", "rtsp://h:554/user=***_password=***_channel=1.sdp"),
        ("rtsp://h/user=a&password=s3/cr3t&channel=1", "rtsp://h/user=***&password=***&channel=1"),
        ("rtsp://h/user=a_password=_channel=1?real_stream", "rtsp://h/user=***_password=***_channel=1?real_stream"),
        ("rtsp://h/keys/live_1?width=3", "rtsp://h/keys/live_1?width=3"),
        ("http://h:8080/stream@1", "http://h:8080/stream@1"),
        ("rtsp://[fe80::1]:554/a@b", "rtsp://[fe80::1]:554/a@b"),
        ("rtsp://u:s3cret@[fe80::1]/a", "rtsp://[fe80::1]/a"),
        ("rtsp://me:s3cr@t/2@h:554/1?a=b@c", "rtsp://h:554/1?a=b@c"),
        ("rtsp://me:x@h/a@b", "rtsp://b"),  # more than needed: a path and a password look alike here
    ],
)
def test_names_redact_removes_what_is_secret(uri: str, shown: str) -> None:
    assert redact(uri) == shown


def test_names_split_leaves_addresses_and_existing_files_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert split_name("gate=rtsp://h/1") == ("gate", "rtsp://h/1")
    assert split_name("http://h/?a=b") == (None, "http://h/?a=b")
    assert split_name("dir/a=b.mp4") == (None, "dir/a=b.mp4")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a=b.mp4").write_bytes(b"")
    assert split_name("a=b.mp4") == (None, "a=b.mp4")


def test_names_live_are_addresses_and_webcam_numbers() -> None:
    assert [is_live(uri) for uri in ("rtsp://h/1", "http://h/v", "0", "lobby.mp4", "C:/x.mp4")] == [True] * 3 + [
        False
    ] * 2


@pytest.mark.parametrize("uri", ["rtsp://admin:s3cret@h/1", "0", "gate=rtsp://admin:s3cret@h/1"])
def test_open_source_live_camera_connects_later_and_shows_no_password(uri: str) -> None:
    source = open_source(uri)
    assert source.info.live
    assert "s3cret" not in source.info.uri
    assert "s3cret" not in source.camera
    source.close()


def test_open_sources_names_and_opens_all(tmp_path: Path) -> None:
    path = str(make_clip(tmp_path / "a.mp4", frames=3))
    sources = open_sources([path, path, f"gate={path}"], duration_s=0.2)
    assert [source.camera for source in sources] == ["a", "a-2", "gate"]
    assert [len(list(source.frames())) for source in sources] == [2, 2, 2]


def test_open_sources_without_any_or_with_a_bad_one_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no source"):
        open_sources([])
    with pytest.raises(SourceError, match="no such file"):
        open_sources([str(make_clip(tmp_path / "a.mp4", frames=1)), str(tmp_path / "b.mp4")])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match="no image"):
        open_source(tmp_path / "empty")
