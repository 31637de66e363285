"""Which inputs a batch has, what they are called, and when one counts as done."""

from dataclasses import replace

import pytest

from hmr_ros.commands.batch.items import Options, items_of, key_of, with_whole_paths
from hmr_ros.config import HmrConfig, with_values
from hmr_ros.errors import InputError


@pytest.fixture
def folder(tmp_path):
    for name in ("a.mp4", "b.MOV", "notes.md", "in/a.mp4", "rec/metadata.yaml", "rec/rec_0.db3", "photos/1.png"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(name.encode())
    return tmp_path


def names(items):
    return {(item.name, item.kind) for item in items}


def test_folders_are_opened_but_for_bags_and_images(folder):
    assert names(items_of([str(folder)])) == {("a", "video"), ("b", "video"), ("rec", "bag")}
    assert names(items_of([str(folder / "photos")])) == {("photos", "video")}
    assert names(items_of([str(folder / "rec" / "rec_0.db3")])) == {("rec_0", "bag")}


def test_globs_and_lists(folder):
    (folder / "all.txt").write_text("# of today\na.mp4\n\nrec\n")
    assert names(items_of([str(folder / "all.txt")])) == {("a", "video"), ("rec", "bag")}
    found = items_of([str(folder / "**" / "*.mp4")])
    assert {item.source for item in found} == {str(folder / "a.mp4"), str(folder / "in" / "a.mp4")}


def test_an_input_given_twice_is_one_item_and_names_are_unique(folder):
    once = items_of([str(folder / "a.mp4"), str(folder / "a.mp4"), str(folder)])
    assert [item.source for item in once].count(str(folder / "a.mp4")) == 1
    both = items_of([str(folder / "a.mp4"), str(folder / "in" / "a.mp4")])
    assert len({item.name for item in both}) == 2 and all(item.name.startswith("a-") for item in both)
    assert both == items_of([str(folder / "a.mp4"), str(folder / "in" / "a.mp4")])


def test_what_is_not_there_is_named(folder):
    with pytest.raises(InputError, match="missing"):
        items_of([str(folder / "missing.mp4")])
    with pytest.raises(InputError, match="nothing"):
        items_of([str(folder / "nothing*.mp4")])
    (folder / "all.txt").write_text("missing.mp4")
    with pytest.raises(InputError, match="missing"):
        items_of([str(folder / "all.txt")])


def test_the_key_is_that_of_bytes_and_settings(folder):
    (item,) = items_of([str(folder / "a.mp4")])
    options = Options(HmrConfig())
    key = key_of(item, options)
    assert key == key_of(item, options)
    assert key == key_of(item, replace(options, config=with_values(HmrConfig(), {"threads": 1})))  # speed alone
    assert key == key_of(item, replace(options, overlap=not options.overlap))
    others = [
        replace(options, config=with_values(HmrConfig(), {"recover": "kinematic"})),
        replace(options, camera_text="500,500,320,240"), replace(options, max_frames=3), replace(options, fast=True),
        replace(options, quality=True), replace(options, overlay=False),
    ]  # fmt: skip
    assert len({key, *(key_of(item, other) for other in others)}) == len(others) + 1
    (folder / "a.mp4").write_bytes(b"other bytes")
    assert key_of(item, options) != key


def test_files_that_options_name_count_by_what_is_in_them(folder):
    (item,) = items_of([str(folder / "a.mp4")])
    camera, body = folder / "camera.yaml", folder / "body.npz"
    camera.write_text("500,500,320,240")
    body.write_bytes(b"a body")
    options = Options(with_values(HmrConfig(), {"body": str(body)}), camera_text=str(camera))
    key = key_of(item, options)
    moved = camera.rename(folder / "moved.yaml")
    assert key_of(item, replace(options, camera_text=str(moved))) == key
    moved.write_text("900,900,320,240")
    other = key_of(item, replace(options, camera_text=str(moved)))
    body.write_bytes(b"another body")
    assert len({key, other, key_of(item, replace(options, camera_text=str(moved)))}) == 3


def test_workers_elsewhere_find_the_files_that_options_name(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "camera.yaml").write_text("500,500,320,240")
    (folder / "body.npz").write_bytes(b"a body")
    options = Options(with_values(HmrConfig(), {"body": "body.npz"}), camera_text="camera.yaml")
    whole = with_whole_paths(options)
    assert whole.camera_text == str(folder / "camera.yaml") and whole.config.body == str(folder / "body.npz")
    (item,) = items_of([str(folder / "a.mp4")])
    assert key_of(item, whole) == key_of(item, options)
    numbers = Options(HmrConfig(), camera_text="500,500,320,240")
    assert with_whole_paths(numbers) == numbers


def test_a_folder_has_the_key_of_all_its_files(folder):
    (item,) = items_of([str(folder / "rec")])
    key = key_of(item, Options(HmrConfig()))
    (folder / "rec" / "rec_0.db3").write_bytes(b"more")
    assert key_of(item, Options(HmrConfig())) != key
