"""The options of `hmr train`, stage by stage; nothing here needs torch until a stage is run."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from hmr_ros.config import LANDMARK_NETWORKS
from hmr_ros.runtime.cores import usable_cores
from hmr_ros.synth import LOOKS

if TYPE_CHECKING:
    from hmr_ros.train.data.batches import Mix
    from hmr_ros.train.loop import Schedule

_ON_PAIRS = "train {} on pairs; continues from the checkpoint in --out"
_NOT_RESULTS = ("out", "threads", "device", "workers", "steps")  # options that say where, how fast and how long
_WEIGHTS = "{} weights (default: the shipped ones)"


def add_stages(parser: argparse.ArgumentParser, run_all: Callable[[argparse.Namespace], int]) -> None:
    """The stages of `hmr train`, each with its options; `run_all` is the command of the first, `all`."""
    stages = parser.add_subparsers(required=True, metavar="STAGE")
    p = stages.add_parser("all", help="every stage of a YAML file; a stopped run goes on where it was")
    p.add_argument("config", type=Path, metavar="CONFIG", help="see config/train.yaml")
    p.set_defaults(command=run_all)
    p = stages.add_parser("pairs", help="render people and note what the landmark network says about them")
    _people_options(p, "pairs", 30000)
    p.add_argument("--frames", type=int, default=1, help="more than 1: pieces of motion of so many frames, tracked")
    p.add_argument(
        "--networks", nargs="+", choices=LANDMARK_NETWORKS[1:], default=["full"],
        help="landmark networks that are run on every image, one pair each",
    )  # fmt: skip
    p.set_defaults(command=_pairs)
    p = stages.add_parser("crops", help="render people as crops with their true 2D points, for the image network")
    _people_options(p, "crops", 50000)
    p.add_argument("--side", type=int, default=192, help="pixels of a crop (192 for --size small, 384 for paper)")
    p.set_defaults(command=_crops)
    _mesh2d_options(_on_pairs(stages.add_parser("mesh2d", help=_ON_PAIRS.format("mesh2d")), 3500))
    _m2p_options(_on_pairs(stages.add_parser("m2p", help=_ON_PAIRS.format("m2p")), 11000))
    _hmdiff_options(_on_pairs(stages.add_parser("hmdiff", help=_ON_PAIRS.format("hmdiff")), 2500))
    _prior_options(_on_pairs(stages.add_parser("prior", help=_ON_PAIRS.format("prior")), 8000))
    _diffhmr_options(_on_pairs(stages.add_parser("diffhmr", help=_ON_PAIRS.format("diffhmr")), 4000))
    _calibrate_options(stages.add_parser("calibrate", help="fit PC-HMR's blend matrices on pairs (minutes)"))
    p = stages.add_parser("mean", help="the mean of the weights of several trainings from the same start")
    p.add_argument("files", type=Path, nargs="+", metavar="FILE", help="weights; one named twice counts twice")
    p.add_argument("--out", type=Path, required=True, metavar="FILE")
    p.set_defaults(command=_mean)
    p = stages.add_parser("image", help="train the image network on crops; continues from the checkpoint in --out")
    p.add_argument("--crops", type=Path, nargs="+", required=True, metavar="DIR", help="folders of crops")
    p.add_argument("--val", type=Path, required=True, metavar="DIR", help="crops of people not trained on")
    _schedule_options(p, 60000, 32)
    p.add_argument("--size", default="small", help="small (CPU) or paper (HRNet-W48, GPU)")
    p.add_argument("--no-trimap", action="store_true", help="ablation: no render loss")
    p.set_defaults(command=_image)
    _limb_stages(stages)


def _limb_stages(stages: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    p = stages.add_parser("features", help="render people and note what BlazePose's network holds of them half-way")
    _people_options(p, "features", 50000, several=True)
    p.set_defaults(command=_features)
    p = stages.add_parser("limbs", help="train the limb network on features; continues from the checkpoint in --out")
    p.add_argument("--features", type=Path, nargs="+", required=True, metavar="DIR", help="folders of features")
    p.add_argument("--val", type=Path, required=True, metavar="DIR", help="features of people not trained on")
    _schedule_options(p, 12000, 32, 6e-4)
    p.set_defaults(command=_limbs)


def _on_pairs(p: argparse.ArgumentParser, steps: int) -> argparse.ArgumentParser:
    """Options of what trains on pairs."""
    _pair_options(p)
    _schedule_options(p, steps, 256)
    return p


def _pair_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("--pairs", type=Path, nargs="+", required=True, metavar="DIR", help="folders of pairs")
    p.add_argument(
        "--motion", type=Path, nargs="+", metavar="NPZ", help="motion whose poses are mixed in with landmark noise"
    )
    p.add_argument("--val", type=Path, required=True, metavar="DIR", help="pairs of people not trained on")


def _mesh2d_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("--no-residual", action="store_true", help="ablation: C P alone")
    _share_option(p, 0.5)
    p.set_defaults(command=_mesh2d)


def _m2p_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("--mesh2d", type=Path, metavar="FILE", help=_WEIGHTS.format("2D mesh"))
    p.add_argument("--jitter", type=float, default=0.0, help="noise on the landmarks, in sizes of the person")
    _share_option(p)
    p.add_argument("--size", default="small", help="small (CPU) or paper (GPU); ablations: wide, blockless")
    p.add_argument("--path", choices=("fk", "vertex"), default="fk", help="ablation: vertex interpolation")
    p.add_argument("--bare-keypoints", action="store_true", help="ablation: no 2D mesh")
    p.set_defaults(command=_m2p)


def _hmdiff_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("--mesh2d", type=Path, metavar="FILE", help=_WEIGHTS.format("2D mesh"))
    _share_option(p)
    p.add_argument("--size", default="small", help="small (CPU) or paper")
    p.add_argument("--one-step", action="store_true", help="ablation: the points at once, no diffusion")
    p.set_defaults(command=_hmdiff)


def _share_option(p: argparse.ArgumentParser, synthetic: float = 0.6) -> None:
    p.add_argument(
        "--synthetic-share", type=float, default=synthetic, metavar="SHARE",
        help="share of every batch in poses that were not rendered, with landmarks from the noise model",
    )  # fmt: skip
    _real_options(p, "of these people")


def _real_options(p: argparse.ArgumentParser, whom: str) -> None:
    p.add_argument(
        "--real-share", type=float, default=0.0, metavar="SHARE",
        help=f"share {whom} whose landmarks err as on real people; the others' as on rendered ones",
    )  # fmt: skip
    p.add_argument(
        "--errors", type=Path, metavar="JSON",
        help="landmark errors on real people (default: the shipped table; benchmarks/landmark_errors.py fits one)",
    )  # fmt: skip


def _prior_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("--mesh2d", type=Path, metavar="FILE", help=_WEIGHTS.format("2D mesh"))
    p.add_argument("--m2p", type=Path, metavar="FILE", help=_WEIGHTS.format("decoder"))
    p.add_argument(
        "--synthetic-motions", type=int, default=3000, metavar="N",
        help="pieces of --motion that are added to the pairs, with landmarks from the noise model",
    )  # fmt: skip
    _real_options(p, "of these pieces")
    p.set_defaults(command=_prior)


def _diffhmr_options(p: argparse.ArgumentParser) -> None:
    p.add_argument("--mesh2d", type=Path, metavar="FILE", help=_WEIGHTS.format("2D mesh"))
    p.add_argument("--m2p", type=Path, metavar="FILE", help=_WEIGHTS.format("decoder"))
    p.add_argument(
        "--calibration", type=Path, required=True, metavar="DIR",
        help="pairs of people whom no network was trained on, for the scales of what is sampled",
    )  # fmt: skip
    p.add_argument("--rounds", type=int, default=3, metavar="N", help="how often each pair is drawn, with variation")
    _real_options(p, "of the people in new poses")
    p.add_argument("--unet", action="store_true", help="ablation: the paper's 1D U-Net")
    p.add_argument("--no-whitening", action="store_true", help="ablation: diffuse the pose itself, as the paper does")
    p.add_argument("--axis-angle", action="store_true", help="ablation: rotation vectors instead of 6D numbers")
    p.set_defaults(command=_diffhmr)


def _calibrate_options(p: argparse.ArgumentParser) -> None:
    _pair_options(p)
    p.add_argument("--mesh2d", type=Path, metavar="FILE", help=_WEIGHTS.format("2D mesh"))
    p.add_argument("--m2p", type=Path, metavar="FILE", help=_WEIGHTS.format("decoder"))
    p.add_argument("--rounds", type=int, default=1, metavar="N", help="how often each pair is drawn, with variation")
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="weights and curve.csv")
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--threads", type=int, default=usable_cores())
    p.set_defaults(command=_calibrate)


def _people_options(p: argparse.ArgumentParser, what: str, count: int, several: bool = False) -> None:
    """Options of what renders people to train on; `several` motion files, or one."""
    p.add_argument(
        "--motion", type=Path, nargs="+" if several else None, required=True, metavar="NPZ",
        help="motion file: poses [F,72] in SMPL form",
    )  # fmt: skip
    p.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help=f"folder of the {what}; finished files are kept"
    )
    p.add_argument("--count", type=int, default=count)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--workers", type=int, default=usable_cores())
    p.add_argument("--plain", action="store_true", help="recorded poses and upright cameras only, as for validation")
    p.add_argument(
        "--look", choices=LOOKS, default=LOOKS[0], help="of the people; painted: bare and flat, three times as fast"
    )


def _schedule_options(p: argparse.ArgumentParser, steps: int, batch: int, rate: float = 1e-3) -> None:
    """Options that every training has."""
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="weights, curve.csv and checkpoint")
    p.add_argument("--steps", type=int, default=steps)
    p.add_argument("--batch", type=int, default=batch)
    p.add_argument("--learning-rate", type=float, default=rate)
    p.add_argument("--seed", type=int, default=0)
    p.add_argument("--device", default="cpu", help="cpu or cuda")
    p.add_argument("--threads", type=int, default=usable_cores())
    p.add_argument("--init", type=Path, metavar="FILE", help="weights to go on from")


def _pairs(args: argparse.Namespace) -> int:
    from hmr_ros.train.data.pairs import make_pairs

    return make_pairs(
        args.motion, args.out, count=args.count, seed=args.seed, workers=args.workers, plain=args.plain,
        frames=args.frames, networks=args.networks, body=None, look=args.look,
    )  # fmt: skip


def _crops(args: argparse.Namespace) -> int:
    from hmr_ros.train.data.crops import make_crops

    return make_crops(
        args.motion, args.out, count=args.count, side=args.side, seed=args.seed, workers=args.workers, plain=args.plain,
        look=args.look,
    )  # fmt: skip


def _mix(args: argparse.Namespace) -> Mix:
    from hmr_ros.train.data.batches import Mix

    return Mix(args.synthetic_share, real_share=args.real_share, jitter=getattr(args, "jitter", 0.0))


def _mesh2d(args: argparse.Namespace) -> int:
    from hmr_ros.commands import train

    return train.mesh2d(
        args.pairs, args.val, _schedule(args), init=args.init, motion=args.motion, residual=not args.no_residual,
        mix=_mix(args), errors=args.errors, threads=args.threads,
    )  # fmt: skip


def _m2p(args: argparse.Namespace) -> int:
    from hmr_ros.commands import train

    return train.m2p(
        args.pairs, args.val, args.mesh2d, _schedule(args), motion=args.motion, init=args.init,
        mix=_mix(args), errors=args.errors, size=args.size, path=args.path, bare=args.bare_keypoints,
        threads=args.threads,
    )  # fmt: skip


def _hmdiff(args: argparse.Namespace) -> int:
    from hmr_ros.commands import train

    return train.hmdiff(
        args.pairs, args.val, args.mesh2d, _schedule(args), motion=args.motion, init=args.init,
        mix=_mix(args), errors=args.errors, size=args.size, one_step=args.one_step, threads=args.threads,
    )  # fmt: skip


def _prior(args: argparse.Namespace) -> int:
    from hmr_ros.commands import train

    return train.prior(
        args.pairs, args.val, _schedule(args), mesh2d_path=args.mesh2d, m2p_path=args.m2p, init=args.init,
        motion=args.motion, synthetic=args.synthetic_motions, real_share=args.real_share, errors=args.errors,
        threads=args.threads,
    )  # fmt: skip


def _diffhmr(args: argparse.Namespace) -> int:
    from hmr_ros.commands import train
    from hmr_ros.methods.diffhmr.network import DiffHmrSize

    size = DiffHmrSize(unet=args.unet, whiten=not args.no_whitening, axis_angle=args.axis_angle)
    return train.diffhmr(
        args.pairs, args.val, args.calibration, _schedule(args), mesh2d_path=args.mesh2d, m2p_path=args.m2p,
        motion=args.motion, init=args.init, size=size, rounds=args.rounds, real_share=args.real_share,
        errors=args.errors, threads=args.threads,
    )  # fmt: skip


def _calibrate(args: argparse.Namespace) -> int:
    from hmr_ros.commands import train

    return train.calibrate(
        args.pairs, args.val, args.out, mesh2d_path=args.mesh2d, m2p_path=args.m2p, motion=args.motion,
        rounds=args.rounds, seed=args.seed, threads=args.threads,
    )  # fmt: skip


def _mean(args: argparse.Namespace) -> int:
    from hmr_ros.train.average import mean_weights

    mean_weights(args.files, args.out)
    return 0


def _image(args: argparse.Namespace) -> int:
    from hmr_ros.commands import train

    return train.image(
        args.crops, args.val, _schedule(args), init=args.init, size=args.size, with_render=not args.no_trimap,
        threads=args.threads,
    )  # fmt: skip


def _features(args: argparse.Namespace) -> int:
    from hmr_ros.train.data.features import make_features

    return make_features(
        args.motion, args.out, count=args.count, seed=args.seed, workers=args.workers, plain=args.plain, look=args.look
    )


def _limbs(args: argparse.Namespace) -> int:
    from hmr_ros.commands import train

    return train.limbs(args.features, args.val, _schedule(args), init=args.init, threads=args.threads)


def _schedule(args: argparse.Namespace) -> Schedule:
    from hmr_ros.train.loop import Schedule

    options = {name: value for name, value in vars(args).items() if name not in _NOT_RESULTS and not callable(value)}
    return Schedule(
        args.out, args.steps, batch=args.batch, learning_rate=args.learning_rate, seed=args.seed, device=args.device,
        options=options,
    )  # fmt: skip
