"""Our builder and runner over a recorded fake of TensorRT's interface: what we do with what it may answer.

No test here is a run of TensorRT, and none says anything about a GPU (tests/runtime/fake_nvidia.py).
"""

import logging
import sys
from dataclasses import replace
from threading import Thread

import numpy as np
import onnx
import pytest
import torch
from fake_nvidia import FakeNvidia
from fake_tensorrt import OPERATORS

from hmr_ros.cli import main
from hmr_ros.config import HmrConfig
from hmr_ros.errors import AssetError
from hmr_ros.factory import engine_request
from hmr_ros.io.model_store import asset
from hmr_ros.methods.dummy_inputs import make_inputs
from hmr_ros.runtime.contract import Graph, Signature
from hmr_ros.runtime.cuda_core import CudaCore
from hmr_ros.runtime.export import export
from hmr_ros.runtime.gpu import cuda_package, open_gpu
from hmr_ros.runtime.onnxruntime import OnnxRuntimeEngine
from hmr_ros.runtime.pycuda import PyCuda
from hmr_ros.runtime.selection import select
from hmr_ros.runtime.tensorrt import MAX_PEOPLE, TensorRtEngine, card_file, write_plan
from hmr_ros.runtime.tensorrt_build import build_plan
from hmr_ros.runtime.weight_types import plain

TEN, ELEVEN = "10.13.0.35", "11.4.0.106"
EVERYBODY = range(1, MAX_PEOPLE + 1)


SIGNATURE = Signature("tiny", {"points": (4, 3), "scale": ()}, {"sums": (3,), "products": (4, 3)})


class Tiny(torch.nn.Module):
    """Quick to export and to run; the networks of the package take seconds."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(3, 3)

    def forward(self, points, scale):
        products = self.layer(points) * scale[:, None, None]
        return products.sum(1), products


def tiny_inputs(signature, count, seed=0):
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=(count, *size)).astype(np.float32) for name, size in signature.inputs.items()}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("tiny") / "tiny.onnx"
    export(Graph(Tiny(), SIGNATURE, (), {}), path, tiny_inputs)
    return path


@pytest.fixture(params=["cuda-core", "pycuda"])
def nvidia(monkeypatch, request):
    """With one package for CUDA, or those that a test names."""
    return FakeNvidia(TEN, (request.param,)).install(monkeypatch)


with_graphs = pytest.mark.parametrize("nvidia", ["cuda-core"], indirect=True)
without_graphs = pytest.mark.parametrize("nvidia", ["pycuda"], indirect=True)


@pytest.fixture
def built(nvidia, tiny, tmp_path):
    """A plan of this GPU."""
    return build_plan(tiny, "tiny", tmp_path, tiny_inputs)[0]


def refused(match, what, *arguments):
    """Fails in one line."""
    with pytest.raises(AssetError, match=match) as caught:
        what(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("version", "flags", "precision", "package"),
    [(TEN, 2, "fp16", "cuda-core"), (ELEVEN, 0, "fp16", "pycuda"), (ELEVEN, 0, "fp32", "cuda-core")],
)
def test_both_versions_build_a_plan_that_the_engine_finds_and_runs(
    exported, tmp_path, monkeypatch, version, flags, precision, package
):
    nvidia = FakeNvidia(version, (package,)).install(monkeypatch)
    graph = exported(1, precision)
    plan, differences = build_plan(graph, "posture", tmp_path, make_inputs)
    assert nvidia.network_flags == [flags]  # 10 has to be told that the graph's types hold, 11 knows nothing else
    assert nvidia.cleared == [sys.modules["tensorrt"].BuilderFlag.TF32]
    assert version in plan.name and "fake-gpu-sm89" in plan.name and max(differences.values()) < 1e-4
    assert {p.name for p in tmp_path.iterdir()} == {plan.name, card_file(plan).name, "timing.cache"}
    wanted = engine_request(HmrConfig(), "posture")
    request = replace(wanted, settings={"steps": 1}, file="posture_1.onnx", half_file="posture_1_fp16.onnx")
    chosen = select("tensorrt", replace(request, folders=(graph.parent, tmp_path)))
    assert chosen.reason == "engine: tensorrt" and chosen.engine.device == "cuda (Fake GPU-sm89)"
    assert chosen.engine.dtype == ("float16" if precision == "fp16" else "float32")
    reference = OnnxRuntimeEngine(graph, "posture", 1)
    for people in (1, 3, 11):  # more than fit are answered in several runs
        given = make_inputs(reference.signature, people, people)
        for name, array in reference(given).items():
            np.testing.assert_allclose(chosen.engine(given)[name], array, atol=1e-4)


@with_graphs
def test_every_number_of_people_has_a_context_and_a_graph_of_its_own(nvidia, built, caplog):
    nvidia.graphs.clear(), nvidia.strategies.clear()
    caplog.set_level(logging.INFO)
    engine = TensorRtEngine(built, "tiny", open_gpu())
    assert [graph.people for graph in nvidia.graphs] == list(EVERYBODY)
    assert nvidia.strategies == [sys.modules["tensorrt"].ExecutionContextAllocationStrategy.USER_MANAGED] * MAX_PEOPLE
    before = [graph.launches for graph in nvidia.graphs]
    for people in (3, 3, 8):
        engine(tiny_inputs(engine.signature, people))
    assert np.subtract([graph.launches for graph in nvidia.graphs], before).tolist() == [0, 0, 2, 0, 0, 0, 0, 1]
    said = caplog.messages[-1]
    assert "tiny: CUDA graphs for 1, 2, 3, 4, 5, 6, 7, 8 people" in said and said.count(" ms ") == 2


@with_graphs
@pytest.mark.parametrize("fault", ["uncapturable", "unfinished"])
def test_what_cannot_be_captured_runs_kernel_by_kernel_and_is_logged_with_its_time(nvidia, built, caplog, fault):
    setattr(nvidia, fault, {2, 5})
    nvidia.graphs.clear()
    engine = TensorRtEngine(built, "tiny", open_gpu())
    assert [graph.people for graph in nvidia.graphs] == [1, 3, 4, 6, 7, 8]
    warnings = [r.message for r in caplog.records if r.levelno == logging.WARNING]
    assert len(warnings) == 2 and all(
        "no CUDA graph for" in w and "CUDA_ERROR" in w and " ms a run" in w for w in warnings
    )
    good = TensorRtEngine(built, "tiny", open_gpu())
    for people in (2, 5):
        given = tiny_inputs(engine.signature, people)
        for name, array in good(given).items():
            np.testing.assert_array_equal(engine(given)[name], array)


@with_graphs
def test_with_no_graph_at_all_everybody_is_answered(nvidia, built, caplog):
    nvidia.uncapturable = set(EVERYBODY)
    engine = TensorRtEngine(built, "tiny", open_gpu())
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == MAX_PEOPLE
    assert np.isfinite(engine(tiny_inputs(engine.signature, 4))["products"]).all()


@without_graphs
def test_a_package_that_cannot_capture_says_so_once_with_the_time_of_a_run(nvidia, built, caplog):
    caplog.clear()
    engine = TensorRtEngine(built, "tiny", open_gpu())
    assert len(nvidia.strategies) == 2 * MAX_PEOPLE  # of the build's check, and now
    (said,) = [r.message for r in caplog.records if r.levelno >= logging.INFO]
    assert said.startswith("tiny: no CUDA graphs (PyCUDA has no stream capture; ") and "cuda-core" in said
    assert said.count(" ms ") == 2
    assert not nvidia.graphs and not any(run.graph for run in engine.runs)
    assert {run.refusal for run in engine.runs} == {PyCuda.cannot_capture}


def test_both_packages_say_the_same(tiny, tmp_path, monkeypatch):
    """And take each other's plans."""
    answers, plans = [], []
    for package in ("cuda-core", "pycuda"):
        FakeNvidia(TEN, (package,)).install(monkeypatch)
        plans.append(build_plan(tiny, "tiny", tmp_path / package, tiny_inputs)[0])
        engine = TensorRtEngine(plans[0], "tiny", open_gpu())
        answers.append(engine(tiny_inputs(engine.signature, 11)))
    assert plans[0].name == plans[1].name
    for name, array in answers[0].items():
        np.testing.assert_array_equal(answers[1][name], array)


def test_an_engine_made_in_one_thread_answers_in_another(nvidia, built):
    engine, found = TensorRtEngine(built, "tiny", open_gpu()), []
    given = tiny_inputs(engine.signature, 2)
    thread = Thread(target=lambda: found.append(engine(given)))
    thread.start(), thread.join()
    np.testing.assert_array_equal(found[0]["products"], engine(given)["products"])


def test_memory_is_given_back_with_the_engine(nvidia, built):
    nvidia.graphs.clear()  # of the build; the fake's graphs hold on to what they copy
    free = nvidia.free_bytes
    engine = TensorRtEngine(built, "tiny", open_gpu())
    assert nvidia.free_bytes < free and len(nvidia.streams) == 1
    held = [engine]
    del engine
    thread = Thread(target=held.clear)  # PyCUDA frees nothing in a thread where its context is not current
    thread.start(), thread.join()
    nvidia.graphs.clear()
    assert nvidia.free_bytes == free and not nvidia.live and not nvidia.streams


@without_graphs
def test_the_context_is_current_only_while_something_runs(nvidia, built):
    engine = TensorRtEngine(built, "tiny", open_gpu())
    assert not nvidia.threads
    engine(tiny_inputs(engine.signature, 1))
    assert not nvidia.threads
    nvidia.broken.add("execute")
    refused("TensorRT failed on 1 people", engine, tiny_inputs(engine.signature, 1))
    assert not nvidia.threads
    del engine
    assert nvidia.ended_streams and not nvidia.threads


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("Runtime", "does not start, its log says why; update the driver"),
        ("context", "no memory for 1 people"),
        ("address", "refuses points, scale, .* of 1 people; build it again: hmr build-engine --network tiny"),
        ("shape", "refuses points, scale of 1 people"),
        ("execute", "TensorRT failed on 1 people"),
        ("type", "2 not in float32"),
    ],
)
def test_a_plan_that_cannot_run_is_refused(nvidia, built, fault, said):
    nvidia.broken.add(fault)
    refused(said, TensorRtEngine, built, "tiny", open_gpu())


@pytest.mark.parametrize("free", [0, 100, 4500])
def test_out_of_memory_names_the_gpu_and_the_cure(nvidia, built, free):
    nvidia.free_bytes = free
    refused(
        "Fake GPU-sm89 failed .*(OUT_OF_MEMORY|out of memory).*free its memory, or use engine 'auto'",
        TensorRtEngine, built, "tiny", open_gpu(),
    )  # fmt: skip


def test_a_gpu_that_fails_later_is_named_too(nvidia, built):
    engine = TensorRtEngine(built, "tiny", open_gpu())

    class Lost:
        def launch(self):
            raise RuntimeError("CUDA_ERROR_UNKNOWN:\n lost")

    engine.runs[0].graph = Lost()
    refused("Fake GPU-sm89 failed .CUDA_ERROR_UNKNOWN: lost", engine, tiny_inputs(engine.signature, 1))


def test_plans_of_others_are_refused(nvidia, built, tiny, monkeypatch, tmp_path):
    gpu = open_gpu()
    for other in (FakeNvidia("10.3.0.26", nvidia.packages), FakeNvidia(ELEVEN, nvidia.packages)):
        other.install(monkeypatch)
        refused(
            f"was built by TensorRT {TEN} for Fake GPU-sm89, here are {other.version}",
            TensorRtEngine, built, "tiny", open_gpu(),
        )  # fmt: skip
    nvidia.install(monkeypatch)
    nvidia.name = "Other GPU"
    refused("for Fake GPU-sm89, here are .* and Other GPU-sm89", TensorRtEngine, built, "tiny", open_gpu())
    nvidia.name = "Fake GPU"
    card = OnnxRuntimeEngine(tiny, "tiny", 1).card
    made = {"tensorrt": gpu.tensorrt, "gpu": gpu.name}
    damaged = tmp_path / "damaged.plan"
    write_plan(damaged, b"no plan", replace(card, made_with=made))
    refused("cannot read damaged.plan; delete it", TensorRtEngine, damaged, "tiny", gpu)
    foreign = replace(card.signature, outputs={"quotients": (3,)})
    write_plan(damaged, built.read_bytes(), replace(card, made_with=made, signature=foreign))
    refused("the plan has the tensors points, scale, .*build it again", TensorRtEngine, damaged, "tiny", gpu)
    write_plan(damaged, built.read_bytes(), card)  # a card of nobody's
    refused("built by TensorRT unknown for unknown", TensorRtEngine, damaged, "tiny", gpu)
    card_file(damaged).unlink()
    refused("damaged.plan.json is missing", TensorRtEngine, damaged, "tiny", gpu)
    refused("holds 'tiny'", TensorRtEngine, built, "refine", gpu)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("Builder", "does not start, its log says why; update the driver"),
        ("profile", "refuses 1 to 8 people for tiny.onnx"),
        ("build", "cannot build tiny.onnx, its log says why"),
        ("execute", "TensorRT failed on 1 people"),
    ],
)
def test_what_cannot_be_built_leaves_nothing_behind(nvidia, tiny, tmp_path, fault, said):
    nvidia.broken.add(fault)
    refused(said, build_plan, tiny, "tiny", tmp_path, tiny_inputs)
    assert {p.name for p in tmp_path.iterdir()} <= {"timing.cache"}


def test_what_the_parser_says_is_passed_on(nvidia, tiny, tmp_path):
    model = onnx.load(str(tiny))
    model.graph.node.append(onnx.helper.make_node("NonZero", ["points"], ["strange"]))
    model.graph.node.append(onnx.helper.make_node("Hardmax", ["points"], ["stranger"]))
    onnx.save(model, tmp_path / "strange.onnx")
    refused(
        "cannot read strange.onnx .no importer for Hardmax; no importer for NonZero.; export it again: hmr export",
        build_plan, tmp_path / "strange.onnx", "tiny", tmp_path, tiny_inputs,
    )  # fmt: skip


def test_a_plan_that_says_something_else_is_never_found(nvidia, tiny, tmp_path, monkeypatch):
    original = FakeNvidia.array
    monkeypatch.setattr(FakeNvidia, "array", lambda self, at, shape: original(self, at, shape) + np.float32(0))
    refused("differs from ONNX Runtime by", build_plan, tiny, "tiny", tmp_path, tiny_inputs)
    assert {p.name for p in tmp_path.iterdir()} == {"timing.cache"}


def test_timings_are_used_again(nvidia, tiny, tmp_path):
    build_plan(tiny, "tiny", tmp_path, tiny_inputs)
    build_plan(tiny, "tiny", tmp_path, tiny_inputs)
    assert nvidia.caches[0].endswith(TEN.encode()) and nvidia.caches[1] == nvidia.caches[0] + b", measured"


@pytest.mark.parametrize("content", [b"nonsense", b"cache of Other GPU, 10.13.0.35, measured", b"cache of Fake GPU, 9"])
def test_a_corrupt_or_foreign_timing_cache_is_begun_anew(nvidia, tiny, tmp_path, content):
    (tmp_path / "timing.cache").write_bytes(content)
    build_plan(tiny, "tiny", tmp_path, tiny_inputs)
    assert (tmp_path / "timing.cache").read_bytes() == f"cache of Fake GPU, {TEN}, measured".encode()


def test_without_a_timing_cache_it_builds_all_the_same(nvidia, tiny, tmp_path, caplog):
    nvidia.broken.add("cache")
    assert build_plan(tiny, "tiny", tmp_path, tiny_inputs)[0].is_file()
    assert not (tmp_path / "timing.cache").exists() and "takes no timing cache" in caplog.text


def test_a_folder_that_cannot_be_written(nvidia, tiny, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    refused("cannot write to .*choose another folder", build_plan, tiny, "tiny", tmp_path / "file", make_inputs)


def test_what_is_missing_is_named_with_its_cure(nvidia, monkeypatch, exported, tmp_path):
    refused("no TensorRT plan posture_1.*hmr build-engine", _find, exported, tmp_path)
    for version in ("8.6.1", "12.0.0", "100.1"):
        FakeNvidia(version).install(monkeypatch)
        refused(f"needs TensorRT 10 or 11, not {version}: pip install 'tensorrt>=10,<12'", open_gpu)
    nvidia.install(monkeypatch).no_driver = True
    refused("finds no usable NVIDIA GPU .*(driver library|cuInit failed).*use 'auto'", open_gpu)
    for module in ("cuda.core", "pycuda.driver"):
        monkeypatch.setitem(sys.modules, module, None)
    refused(
        r"needs cuda-core or PyCUDA: pip install 'cuda-core\[cu13\]' .*pip install pycuda where nvcc is.*use 'auto'"
        r" \(cuda-core: .*; pycuda: .*\)",
        open_gpu,
    )
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    refused("needs tensorrt: pip install 'tensorrt>=10,<12'", open_gpu)


@pytest.mark.parametrize(
    ("packages", "kind", "why"),
    [
        (("cuda-core", "pycuda"), CudaCore, "it captures CUDA graphs"),
        (("cuda-core",), CudaCore, "it captures CUDA graphs"),
        (("pycuda",), PyCuda, "without CUDA graphs, for it cannot be imported: cuda-core: "),
    ],
)
def test_cuda_core_is_used_where_it_imports_else_pycuda(packages, kind, why, monkeypatch):
    FakeNvidia(TEN, packages).install(monkeypatch)
    assert type(open_gpu().cuda) is kind and cuda_package()[0] is kind and cuda_package()[1].startswith(why)


def _find(exported, folder):
    request = engine_request(HmrConfig(), "posture")
    request = replace(request, settings={"steps": 1}, file="posture_1.onnx", half_file="no.onnx")
    return select("tensorrt", replace(request, folders=(exported(1).parent, folder)))


def test_build_engine_says_what_it_built(nvidia, exported, tmp_path, capsys):
    assert main(["build-engine", str(exported(1)), "--precision", "fp32", "--out", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert ".plan, " in said and "largest difference to ONNX Runtime in float32: points_2d" in said


def test_doctor_says_what_tensorrt_would_run(nvidia, capsys, monkeypatch, tmp_path):
    """Plans are looked for where `hmr build-engine` puts them."""
    monkeypatch.setattr("hmr_ros.factory.model_folder", lambda: tmp_path)
    main(["doctor"])
    lines = capsys.readouterr().out.splitlines()
    way = next(line for line in lines if "CUDA for engine: tensorrt" in line[:38])
    assert way.split()[0] == "ok" and f" {nvidia.packages[0]}: " in way and "CUDA graphs" in way
    said = next(line for line in lines if line[10:].startswith("engine: tensorrt"))
    assert "missing" in said and f"TensorRT {TEN} on Fake GPU-sm89, plans of no network" in said
    assert "no TensorRT plan posture_2." in said and "hmr build-engine" in said
    build_plan(asset("posture_2.onnx"), "posture", tmp_path, make_inputs)
    main(["doctor"])
    said = next(line for line in capsys.readouterr().out.splitlines() if line[10:].startswith("engine: tensorrt"))
    assert said.split()[0] == "ok" and "plans of posture; only with --engine tensorrt, never by auto" in said


@pytest.mark.parametrize("file", sorted(p.name for p in asset("").glob("*.onnx")))
def test_shipped_graphs_hold_only_operators_that_tensorrt_lists(file):
    """Neither loops nor shapes that depend on data, so that their kernels can be captured."""
    model = onnx.load_from_string(plain(asset(file)))
    assert {node.op_type for node in model.graph.node} <= OPERATORS
