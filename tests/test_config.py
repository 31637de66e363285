"""The settings tree: files, dotted names and their errors."""

from dataclasses import replace

import pytest

from hmr_ros.config import HmrConfig, read_config, settings, with_values
from hmr_ros.errors import ConfigError
from hmr_ros.factory import offline


def test_every_setting_has_a_description():
    assert all(s.doc for s in settings())


def test_dotted_names_reach_every_leaf():
    for s in settings():
        assert with_values(HmrConfig(), {s.name: s.default}) == HmrConfig()


@pytest.mark.parametrize(
    "text",
    ["tracker: {max_people: 3}", "/**:\n  ros__parameters:\n    use_sim_time: true\n    tracker: {max_people: 3}"],
)
def test_plain_and_ros_parameter_files_mean_the_same(tmp_path, text):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    assert read_config(file).tracker.max_people == 3


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("tracker: {max_poeple: 3}", "unknown setting 'tracker.max_poeple'"),
        ("posture: {steps: many}", "'posture.steps' must be an integer"),
        ("recover: magic", "choose one of kinematic, posture"),
        ("- a\n- b", "holds no settings"),
        ("a: [", "not valid YAML"),
        ("[" * 5000, "not valid YAML"),
    ],
)
def test_bad_files_are_explained_in_one_line(tmp_path, text, said):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said) as caught:
        read_config(file)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(ConfigError, match="cannot read"):
        read_config(tmp_path / "no.yaml")


def test_files_wait_for_the_frames_to_come_and_live_does_not():
    assert HmrConfig().temporal.lag == 0
    assert offline(HmrConfig()).temporal.lag == 4
    assert offline(with_values(HmrConfig(), {"temporal.lag": 1})).temporal.lag == 1
    assert offline(HmrConfig(), as_live=True) == replace(HmrConfig(), detector=offline(HmrConfig()).detector)
