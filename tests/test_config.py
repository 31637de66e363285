"""The settings tree: files, dotted names and their errors."""

from dataclasses import replace

import numpy as np
import pytest

from hmr_ros.config import HmrConfig, read_config, settings, with_values
from hmr_ros.errors import ConfigError, InputError
from hmr_ros.factory import offline
from hmr_ros.io.calibration import read_camera


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
        ("camera: {orientation: '0,0,0,0'}", "'camera.orientation' has the length 0; give the camera's orientation as"),
        ("camera: {orientation: [0.5, 0.5, 0.5, 0.6]}", "'camera.orientation' has the length 1.05"),
        ("camera: {orientation: [.nan, 0, 0, 1]}", "'camera.orientation' has the length nan"),
        ("camera: {orientation: [0, 0, 1]}", "'camera.orientation' has 3 numbers"),
        ("camera: {orientation: [0, 0, 0, 1, 0]}", "'camera.orientation' has 5 numbers"),
        ("camera: {orientation: level}", "'camera.orientation' is 'level'"),
        ("camera: {orientation: true}", "'camera.orientation' is True"),
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


def test_a_quaternion_is_text_or_a_list(tmp_path):
    file = tmp_path / "c.yaml"
    for text in ("'-0.5,0.5,-0.5,0.5'", "'[-0.5, 0.5, -0.5, 0.5]'", "[-0.5, 0.5, -0.5, 0.5]"):
        file.write_text(f"camera: {{orientation: {text}}}")
        assert read_config(file).camera.orientation == "-0.5,0.5,-0.5,0.5"
    file.write_text("camera: {orientation: ''}")
    assert read_config(file) == HmrConfig()


def alias_bomb():
    """Ten lines that stand for 10^9 words."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [(alias_bomb(), r"aliases \(\*name\)"), ("a: &a [*a]", "aliases"), ("x: " + "1" * (5 << 20), "larger than 4 MiB")],
)
def test_bombs_are_refused_before_they_are_built(tmp_path, text, said):
    file = tmp_path / "c.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_config(file)
    with pytest.raises(InputError, match="not valid YAML"):
        read_camera(str(file))


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.mkdir", "!!python/object/new:os.mkdir", "!made_up"])
def test_tags_make_nothing_and_run_nothing(tmp_path, tag):
    file, made = tmp_path / "c.yaml", tmp_path / "made"
    file.write_text(f"{tag} [{made}]\n")
    with pytest.raises(ConfigError, match="could not determine a constructor"):
        read_config(file)
    with pytest.raises(InputError, match="not valid YAML"):
        read_camera(str(file))
    assert not made.exists()


def test_every_number_has_a_range():
    """So that no setting can take all memory, or nobody be found without a word."""
    for s in settings():
        if type(s.default) in (int, float):
            assert s.at_least is not None and s.at_most is not None, s.name
            for value in (s.at_least - 1, s.at_most + 1, float("nan"), float("inf"), -(10**9), 10**9):
                with pytest.raises(ConfigError, match=f"'{s.name}'"):
                    s.converted(type(s.default)(value) if np.isfinite(value) else value)
