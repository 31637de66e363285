"""Whether two versions of hmr_ros give the same answers: run clips with each, then compare the humans.npz files.

`python benchmarks/same_answers.py run OUT --clips CLIP... [--max-frames N] [-- OPTIONS OF hmr run]`, once in a
checkout of each version, with the Python of its environment; results lie in OUT/NAME_OF_CLIP.
`python benchmarks/same_answers.py compare BEFORE AFTER` prints the largest absolute difference of every array and clip;
exit status 1 where one is above 1e-6, where arrays or rows differ, or where a clip is missing.
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
from passed_on import split_options

TOLERANCE = 1e-6


def main() -> int:
    """Exit status."""
    words, options = split_options(sys.argv[1:])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    p = actions.add_parser("run")
    p.add_argument("out", type=Path)
    p.add_argument("--clips", type=Path, nargs="+", required=True)
    p.add_argument("--max-frames", type=int)
    p.set_defaults(action=lambda a: run(a.clips, a.out, a.max_frames, options))
    p = actions.add_parser("compare")
    p.add_argument("before", type=Path)
    p.add_argument("after", type=Path)
    p.set_defaults(action=lambda a: compare(a.before, a.after))
    args = parser.parse_args(words)
    return args.action(args)


def run(clips: list[Path], out: Path, max_frames: int | None, options: list[str]) -> int:
    """`hmr run` of every clip, from the sources beside this script, in the environment of this Python."""
    here = environment(Path(__file__).resolve().parents[1])
    limit = [] if max_frames is None else ["--max-frames", str(max_frames)]
    for clip in clips:
        command = [sys.executable, "-m", "hmr_ros", "run", str(clip), "--out", str(out / clip.stem), "--no-overlay"]
        print(f"{clip.name} ...", flush=True)
        done = subprocess.run([*command, *limit, *options], env=here, check=False)
        if done.returncode:
            return done.returncode
    return 0


def environment(checkout: Path) -> dict[str, str]:
    """In which Python takes hmr_ros from a checkout."""
    path = os.pathsep.join([str(checkout), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"PYTHONPATH": path}


def equal(a: Path, b: Path) -> bool:
    """Whether two humans.npz hold the same bytes in every array."""
    with np.load(a) as first, np.load(b) as second:
        return first.files == second.files and all(first[k].tobytes() == second[k].tobytes() for k in first.files)


def compare(before: Path, after: Path) -> int:
    """One line a clip and array; 0 = all the same within `TOLERANCE`."""
    names = sorted({p.parent.name for folder in (before, after) for p in folder.glob("*/humans.npz")})
    if not names:
        print(f"no humans.npz in {before} or {after}")
        return 1
    same = True
    for name in names:
        files = [folder / name / "humans.npz" for folder in (before, after)]
        missing = [file for file in files if not file.is_file()]
        if missing:
            print(f"{name}: {missing[0]} is missing")
            same = False
            continue
        for array, said, equal in differences(*map(read, files)):
            print(f"{name:<24} {array:<16} {said}{'' if equal else '   <-- DIFFERENT'}")
            same = same and equal
    print("the same answers" if same else "other answers")
    return 0 if same else 1


def read(path: Path) -> dict[str, np.ndarray]:
    """All arrays of a file."""
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


def differences(before: dict[str, np.ndarray], after: dict[str, np.ndarray]) -> list[tuple[str, str, bool]]:
    """(array, what is different, whether it is the same within `TOLERANCE`) of two files; NaN equals NaN."""
    out = []
    for name in sorted({*before, *after}):
        if name not in before or name not in after:
            out.append((name, f"only {'after' if name in after else 'before'}", False))
            continue
        a, b = before[name], after[name]
        if a.shape != b.shape:
            out.append((name, f"shape {a.shape} and {b.shape}", False))
        elif a.dtype.kind not in "fiub":
            equal = bool((a == b).all())
            out.append((name, "equal" if equal else f"{a} and {b}", equal))
        else:
            x, y = a.astype(np.float64), b.astype(np.float64)
            gap = np.where((x == y) | (np.isnan(x) & np.isnan(y)), 0.0, np.abs(x - y))
            gap = np.where(np.isnan(gap), np.inf, gap)  # a number beside NaN
            worst = float(gap.max(initial=0.0))
            out.append((name, f"{worst:.3g}", worst <= TOLERANCE))
    return out


if __name__ == "__main__":
    sys.exit(main())
