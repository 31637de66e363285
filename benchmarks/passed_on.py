"""Options that a benchmark passes on to `hmr run` or `hmr batch`."""

from collections.abc import Sequence


def split_options(words: list[str], otherwise: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """The benchmark's own words, and those after `--`, or `otherwise` where there is no `--`."""
    if "--" not in words:
        return words, list(otherwise)
    at = words.index("--")
    return words[:at], words[at + 1 :]
