"""The documents hold no gaps, and what they name exists."""

import re
from pathlib import Path

import pytest

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
