"""Options of `hmr convert`; free of what converts, so that the command line starts quickly."""

from __future__ import annotations

import argparse
from pathlib import Path

FORMATS = ("bvh", "bvh-lafan1", "glb", "amass", "smplx", "holosmpl", "csv")


def convert_options(p: argparse.ArgumentParser) -> None:
    """Options of `hmr convert`."""
    p.add_argument("humans", type=Path, help="humans.npz of hmr run, demo or multiview")
    p.add_argument("--to", nargs="+", required=True, choices=FORMATS, metavar="FORMAT",
                   help=f"one or several of {', '.join(FORMATS)}")  # fmt: skip
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files, one a person")
    p.add_argument("--id", type=int, nargs="+", metavar="ID", help="these people alone (default: all)")
    p.add_argument(
        "--gaps", choices=("fill", "cut"), default="fill",
        help="frames without the person: interpolated, or another file from there on",
    )  # fmt: skip
    p.add_argument("--max-gap", type=float, default=1.0, metavar="S", help="longest gap that is filled (default 1 s)")
    p.add_argument("--fps", type=float, help="frames a second (default: the source's; holosmpl: 50)")
    p.add_argument("--body", metavar="FILE", help="SMPL file that the results belong to, where one was used")
