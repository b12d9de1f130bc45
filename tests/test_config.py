"""Settings: defaults, files, overrides; every mistake is one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from reidpipe.config import Config
from reidpipe.errors import ConfigError


def test_config_defaults_need_no_file() -> None:
    config = Config.load()
    assert config.track.name == "steady"
    assert config.associate.name == "offline"
    assert Config() == config


def test_config_order_of_precedence_is_file_then_set_then_values(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("track:\n  max_age_s: 2\n  coast_s: 2\nsource:\n  every: 2\n")
    config = Config.load(path, overrides=["track.coast_s=3", "source.every=3"], values={"source.every": 4})
    assert (config.track.max_age_s, config.track.coast_s, config.source.every) == (2, 3, 4)


def test_config_choosing_a_name_brings_its_fields() -> None:
    config = Config.load(overrides=["track.name=deepsort", "track.gallery_size=5"])
    assert config.track.model_dump()["gallery_size"] == 5


@pytest.mark.parametrize("comments", [True, False])
def test_config_yaml_is_read_back_as_the_same_settings(tmp_path: Path, comments: bool) -> None:
    config = Config.load(overrides=["track.name=deepsort", "detect.input_size=[320, 416]", "associate.threshold=0.5"])
    path = tmp_path / "resolved.yaml"
    path.write_text(config.to_yaml(comments=comments))
    assert Config.load(path) == config


def test_config_yaml_says_what_a_field_is_and_its_range() -> None:
    text = Config.load().to_yaml()
    assert "min_score: 0.1  # boxes below are dropped; >= 0, <= 1" in text
    assert "auto | onnxruntime | openvino | tflite | torch" in text


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("track.max_ages=2", "unknown setting track.max_ages: did you mean track.max_age_s?"),
        ("trak.name=2", "unknown setting trak: did you mean track?"),
        ("track.zzz=1", "unknown setting track.zzz: known: max_age_s, coast_s, name, high_score"),
        ("track.name=bytetrak", "no such name 'bytetrak'; did you mean bytetrack? known: botsort, bytetrack, deepsort"),
        ("track.max_age_s=-1", "track.max_age_s: input should be greater than 0, got -1"),
        ("track.max_age_s=.nan", "track.max_age_s: input should be a finite number, got nan"),
        ("detect.min_score=2", "detect.min_score: input should be less than or equal to 1, got 2"),
        ("detect.classes=[]", "detect.classes: "),
        ("runtime.threads=0", "runtime.threads: input should be greater than or equal to 1, got 0"),
        ("track=5", "a setting is named stage.key"),
        ("track.max_age_s", "--set takes stage.key=value"),
        ("track.max_age_s=[1", "cannot read the value '[1'"),
    ],
)
def test_config_says_in_one_line_what_is_wrong(override: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Config.load(overrides=[override])
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("track: [", "is not valid YAML"),
        ("- a\n- b\n", "must hold sections such as 'track:', not a list"),
        ("track: 5\n", "track: "),
        ("track:\n  max_age: 1\n", "unknown setting track.max_age: did you mean track.max_age_s?"),
    ],
)
def test_config_file_says_in_one_line_what_is_wrong(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        Config.load(path)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_config_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read the config file .*nowhere\.yaml: No such file"):
        Config.load(tmp_path / "nowhere.yaml")


def test_config_empty_file_is_the_defaults(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("# nothing\n")
    assert Config.load(path) == Config.load()
