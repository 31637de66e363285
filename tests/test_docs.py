"""The documents hold no gaps, and what they name exists."""

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest

from hmr_ros.cli import _parser
from hmr_ros.config import settings
from hmr_ros.ros.start_arguments import START_ARGUMENTS, ros_arguments

ROOT = Path(__file__).parents[1]
DOCUMENTS = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
# house words: the left column of the table of words that this project does not use
UNUSED = re.compile(
    r"\bpictures?\b|invented people|people in haste|looks twice|by which a clear|What has run|Two commands"
    r"|must be a int|against the machine\b|says nothing about its origin|newcomer|long known|delays the evidence",
    re.IGNORECASE,
)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_no_figure_waits_to_be_measured(path):
    assert not re.findall(
        r"<!--|to be measured|TODO|[A-Z]{3,}FIGURE|[A-Z]{2,}P95|MSLIVE|MSFILES", path.read_text(encoding="utf-8")
    )


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(path):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8"))
    assert not [link for link in links if not (path.parent / link).exists()]


def headings(path):
    """Anchors of a page, as GitHub makes them."""
    text = re.sub(r"```.*?```", "", path.read_text(encoding="utf-8"), flags=re.S)
    titles = (re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", title) for title in re.findall(r"^#+ (.*)$", text, re.M))
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda p: p.name)
def test_links_into_pages_lead_to_a_heading(path):
    links = re.findall(r"\]\((?!https?:)([^)#]*)#([^)]+)\)", path.read_text(encoding="utf-8"))
    pages = [(path.parent / name if name else path, anchor) for name, anchor in links]
    assert not [f"{page.name}#{a}" for page, a in pages if page.suffix == ".md" and a not in headings(page)]


def test_the_fields_words_everywhere():
    folders = ("hmr_ros", "tests", "benchmarks", "examples", "docs", "config", "launch", "msg", "scripts")
    files = [
        *DOCUMENTS,
        *(p for f in folders for p in (ROOT / f).rglob("*") if p.suffix in (".py", ".md", ".yaml", ".msg")),
    ]
    found = {
        str(p.relative_to(ROOT)): UNUSED.findall(p.read_text(encoding="utf-8")) for p in files if p != Path(__file__)
    }
    assert not {name: words for name, words in found.items() if words}


def blocks(page):
    """Commands of the bash blocks of a page, one list of words each."""
    text = (ROOT / page).read_text(encoding="utf-8")
    return [shlex.split(line) for block in re.findall(r"```bash\n(.*?)```", text, re.S) for line in block.splitlines()]


@pytest.mark.parametrize(
    "words", [w for w in blocks("docs/stack.md") if w[0] == "hmr" or "hmr_ros" in w], ids=lambda w: " ".join(w[:4])
)
def test_our_commands_of_the_stack_page_are_taken(words):
    settings_there = {s.name for s in settings()}
    if words[:3] == ["ros2", "launch", "hmr_ros"]:
        launch_file, given = ROOT / "launch" / words[3], [w.partition(":=")[0] for w in words[4:]]
        declared = re.findall(r'DeclareLaunchArgument\(\s*"(\w+)"', launch_file.read_text(encoding="utf-8"))
        table = (
            [a.name for a in START_ARGUMENTS] if "START_ARGUMENTS" in launch_file.read_text(encoding="utf-8") else []
        )
        assert given and not set(given) - {*declared, *table}
    elif words[:2] == ["hmr", "live"]:
        arguments = ros_arguments(words[2:])
        for flag, value in pairwise(arguments):
            name = value.partition(":=")[0]
            assert flag != "-p" or name in settings_there
            assert flag != "-r" or name in ("image", "camera_info", "depth", "detections", "__ns")
    else:
        _parser().parse_args(words[1:])


def typed(page):
    """Command lines of `hmr` in the blocks of a page, whole ones, without their comments."""
    for block in re.findall(r"```(?:bash)?\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.S):
        for line in block.replace("\\\n", " ").splitlines():
            if re.match(r"hmr (?!live |fuse )", line) and "..." not in line:
                yield shlex.split(line, comments=True)[1:]


@pytest.mark.parametrize("page", ["README.md", "docs/usage.md", "docs/scale.md", "docs/models.md"])
def test_our_commands_of_other_pages_are_taken(page):
    lines = list(typed(page))
    assert lines
    for words in lines:
        _parser().parse_args(words)


def test_parameters_and_scripts_of_the_stack_page_exist():
    text = (ROOT / "docs/stack.md").read_text(encoding="utf-8")
    named = re.findall(r"`(?:-p )?((?:input|output|stream|tracker|temporal|detector)\.\w+)(?::=\w+)?`", text)
    assert named and not set(named) - {s.name for s in settings()}
    scripts = [w[1] for w in blocks("docs/stack.md") if w[0] == "python"]
    assert scripts and all((ROOT / s).is_file() for s in scripts)


def test_the_containers_packages_are_what_the_set_up_asks_for():
    """`make setup` needs a compiler and CMake; the base image has neither."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (packages,) = re.findall(r"install -y --no-install-recommends ([\w .+-]+)", text)
    assert {"build-essential", "cmake", "make"} <= set(packages.split())
    assert re.search(r"^RUN make setup$", text, re.M) and re.search(r"^setup:", (ROOT / "Makefile").read_text(), re.M)
