"""What a batch is made of: inputs as items with a name and a key that says whether they are done already."""

from __future__ import annotations

import glob
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

from hmr_ros.commands.settings_key import settings_key
from hmr_ros.config import HmrConfig
from hmr_ros.errors import InputError

_LISTS = (".txt", ".list")
_BAGS = (".bag", ".mcap", ".db3")
_VIDEOS = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv")
_CHUNK = 1 << 20
_NOT_RESULTS = ("config", "overlap")  # of the options: hashed by itself, changes how fast an answer comes


@dataclass(frozen=True)
class Options:
    """What every item of a batch is run with; what `hmr run` and `hmr bag` take."""

    config: HmrConfig
    camera_text: str | None = None
    max_frames: int | None = None
    overlay: bool = True
    quality: bool = False
    fast: bool = False  # the networks and the lag of the live node
    overlap: bool = True  # stages of a video at the same time, where a worker has more than one core


@dataclass(frozen=True)
class Item:
    """One input; its results go to a folder of this name."""

    name: str
    source: str
    kind: Literal["video", "bag"]  # a folder of images is a video too


def items_of(inputs: Sequence[str]) -> list[Item]:
    """Files, folders, globs and lists (.txt, one input a line, # comments) as items, each once, in order.

    InputError names what is not there. A folder of videos or bags gives one item for each.
    """
    paths = list(dict.fromkeys(str(path.absolute()) for text in inputs for path in _expanded(text, Path())))
    if not paths:
        raise InputError("there is nothing to do: the inputs hold no video, folder or bag")
    stems = Counter(Path(p).stem for p in paths)
    return [Item(_name(p, stems), p, "bag" if _is_bag(Path(p)) else "video") for p in paths]


def key_of(item: Item, options: Options) -> str:
    """Hash of the input's bytes and of everything that decides the results; another key is another result.

    InputError where it cannot be read.
    """
    digest = hashlib.sha256()
    rest = {name: value for name, value in asdict(options).items() if name not in _NOT_RESULTS}
    source = Path(item.source)
    try:
        digest.update(settings_key(options.config, item.kind, rest).encode())
        for path in sorted(p for p in source.rglob("*") if p.is_file()) if source.is_dir() else [source]:
            digest.update(str(path.relative_to(source.parent)).encode(errors="surrogateescape"))
            with path.open("rb") as file:
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
    except OSError as error:
        raise InputError(f"cannot read {error.filename or item.source}: {error.strerror}") from error
    return digest.hexdigest()


def with_whole_paths(options: Options) -> Options:
    """The same for workers that run in other folders."""
    config = options.config
    posture = replace(config.posture, image_weights=_whole(config.posture.image_weights))
    config = replace(config, body=_whole(config.body), posture=posture)
    camera = options.camera_text
    return replace(options, config=config, camera_text=None if camera is None else _whole(camera))


def _whole(text: str) -> str:
    return str(Path(text).absolute()) if text and Path(text).is_file() else text


def _expanded(text: str, beside: Path) -> Iterator[Path]:
    path = beside / Path(text).expanduser()
    if path.suffix.lower() in _LISTS and path.is_file():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"cannot read the list {path}: it must be text, one input a line") from error
        for line in lines:
            if line.strip() and not line.lstrip().startswith("#"):
                yield from _expanded(line.strip(), path.parent)
    elif path.is_dir() and not _is_bag(path):
        inside = sorted(path.iterdir())
        found = [p for p in inside if _is_bag(p) or p.suffix.lower() in _VIDEOS]
        yield from found or [path]  # none: a folder of images
    elif path.exists():
        yield path
    else:
        matches = _matching(path)
        if not matches:
            raise InputError(f"no such input: {path}; give videos, folders, bags, globs, or a .txt with one a line")
        for match in matches:
            yield from _expanded(str(match), Path())


def _matching(pattern: Path) -> list[Path]:
    parts = pattern.parts
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    return sorted(Path(*parts[:fixed]).glob(str(Path(*parts[fixed:])))) if fixed < len(parts) else []


def _is_bag(path: Path) -> bool:
    """Whether it is a recording: a file of one, or the folder of rosbag2 that names its files."""
    return path.suffix.lower() in _BAGS or (path / "metadata.yaml").is_file()


def _name(path: str, stems: Counter[str]) -> str:
    stem = Path(path).stem
    if stems[stem] == 1:
        return stem
    return f"{stem}-{hashlib.sha256(path.encode(errors='surrogateescape')).hexdigest()[:8]}"
