"""TensorRT's, cuda-core's and PyCUDA's Python interfaces as documented, for tests of our own logic.

Memory of the GPU is ordinary memory, networks are answered by ONNX Runtime, and what is misuse by the documentation
fails here. That something works with this says nothing about TensorRT or about a GPU: it has not run on either.
"""

import ctypes
import itertools
import sys
import threading
import weakref
from importlib.machinery import ModuleSpec
from types import ModuleType

import numpy as np
import onnx
import onnxruntime
from fake_pycuda import content

MAGIC = b"fake plan of "
# "Supported ONNX Operators" of onnx-tensorrt 10.1, opset 9 to 20, as far as these graphs may need them
OPERATORS = frozenset(
    """
    Abs Add And Cast Ceil Clip Concat Constant ConstantOfShape Conv Cos Cumsum Div Einsum Equal Erf Exp Expand
    Flatten Floor Gather GatherElements GatherND Gemm Greater GreaterOrEqual Identity LayerNormalization Less
    LessOrEqual Log LogSoftmax MatMul Max Min Mod Mul Neg Not Or Pow Range Reciprocal ReduceL2 ReduceMax
    ReduceMean ReduceSum Relu Reshape Resize Round ScatterND Shape Sigmoid Sign Sin Slice Softmax Softplus
    Split Sqrt Squeeze Sub Sum Tanh Tile Transpose Unsqueeze Where
    """.split()  # noqa: SIM905
)


class CUDAError(Exception):
    """cuda.core._utils.cuda_utils.CUDAError."""


class FakeNvidia:
    """One GPU with the TensorRT of a version and packages for CUDA; set the attributes below to let something fail."""

    def __init__(self, version="10.13.0.35", packages=("cuda-core", "pycuda")):
        self.packages = packages
        self.version, self.major = version, int(version.split(".")[0])
        self.name, self.arch = "Fake GPU", "89"
        self.no_driver = False
        self.free_bytes = 1 << 30
        self.broken = set()  # Builder, Runtime, profile, build, context, address, shape, execute, cache
        self.uncapturable = set()  # numbers of people
        self.unfinished = set()  # of which the graph cannot be made of what was captured
        self.network_flags, self.cleared, self.caches, self.strategies = [], [], [], []
        self.graphs = []  # every graph, with the number of its launches
        self.live = {}  # address -> memory
        self.streams = weakref.WeakValueDictionary()  # by handle
        self.handles = itertools.count(4096)
        self.ended_streams = []  # of PyCUDA
        self.threads = set()  # on which the device is current

    def modules(self):
        """By the names they are imported with."""
        core = _module("cuda.core", Device=_device(self), Buffer=_Buffer, Stream=_Stream, MemoryResource=object)
        core.LegacyPinnedMemoryResource = _pinned(self)
        graph = _module("cuda.core.graph", Graph=_Graph, GraphBuilder=_GraphBuilder)
        errors = _module("cuda.core._utils.cuda_utils", CUDAError=CUDAError)
        parents = [_module("cuda", core=core), _module("cuda.core._utils", cuda_utils=errors)]
        driver = _module("pycuda.driver", **content(self))
        groups = {"cuda-core": (core, graph, errors, *parents), "pycuda": (_module("pycuda", driver=driver), driver)}
        found = {"tensorrt": _tensorrt(self)}
        for package, modules in groups.items():
            found |= {m.__name__: m if package in self.packages else None for m in modules}  # None: not to be imported
        return found

    def install(self, monkeypatch):
        """In place of what is installed."""
        for name, module in self.modules().items():
            monkeypatch.setitem(sys.modules, name, module)
        return self

    def take(self, size, error):
        """Address of so many bytes; the error where there are not as many."""
        if not 0 < size <= self.free_bytes:
            raise error
        self.free_bytes -= size
        memory = ctypes.create_string_buffer(size)
        address = ctypes.addressof(memory)
        self.live[address] = memory
        return address

    def allocate(self, size):
        """A buffer of cuda-core."""
        address = self.take(
            size,
            CUDAError("CUDA_ERROR_OUT_OF_MEMORY: The API call failed because it was unable to allocate enough memory"),
        )
        buffer = _Buffer(self, address, size, None)
        weakref.finalize(buffer, self.release, address, size)
        return buffer

    def release(self, address, size):
        self.free_bytes += size
        del self.live[address]

    def array(self, address, shape):
        """float32 numbers at an address, which must be memory that nobody gave back."""
        bytes_ = 4 * int(np.prod(shape))
        assert any(a <= address and address + bytes_ <= a + len(m) for a, m in self.live.items()), "not allocated"
        return np.frombuffer((ctypes.c_char * bytes_).from_address(address), np.float32).reshape(shape)

    def new_stream(self, stream):
        handle = next(self.handles)
        self.streams[handle] = stream
        return handle

    def check_current(self):
        if threading.get_ident() not in self.threads:
            raise CUDAError("CUDA_ERROR_INVALID_CONTEXT: This most frequently indicates that there is no context bound")


def _module(name, **content):
    module = ModuleType(name)
    module.__path__, module.__spec__ = [], ModuleSpec(name, None)
    vars(module).update(content)
    return module


class _Buffer:
    def __init__(self, nvidia, handle, size, owner):
        self._nvidia, self.handle, self.size, self._owner = nvidia, handle, size, owner

    @staticmethod
    def from_handle(ptr, size, mr=None, owner=None, *, stream=None):
        return _Buffer(owner._nvidia, ptr, size, owner)

    def copy_to(self, dst=None, *, stream, options=None):
        if dst.size != self.size:
            raise ValueError("buffer sizes mismatch between src and dst")
        stream.order(lambda: ctypes.memmove(dst.handle, self.handle, self.size))
        return dst


class _Stream:
    """What is ordered happens when somebody waits for it, and not before."""

    def __init__(self, nvidia):
        self.nvidia, self.queue, self.builder = nvidia, [], None
        self.handle = nvidia.new_stream(self)

    def order(self, work):
        self.nvidia.check_current()
        (self.queue if self.builder is None else self.builder.work).append(work)

    def sync(self):
        self.nvidia.check_current()
        if self.builder is not None:
            raise CUDAError("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED: the stream is capturing")
        queue, self.queue = self.queue, []
        for work in queue:
            work()

    def create_graph_builder(self):
        return _GraphBuilder(self)


class _GraphBuilder:
    def __init__(self, stream):
        self.stream, self.work, self.people, self.refused = stream, [], None, False

    def begin_building(self, mode="relaxed"):
        assert mode == "thread_local" and not self.stream.queue
        self.stream.builder = self
        return self

    def order(self, work):
        self.stream.order(work)

    def end_building(self):
        self.stream.builder = None
        if self.refused:
            raise CUDAError("CUDA_ERROR_STREAM_CAPTURE_INVALIDATED: the capture was invalidated")
        return self

    def complete(self, options=None):
        if self.people in self.stream.nvidia.unfinished:
            raise CUDAError("CUDA_ERROR_NOT_SUPPORTED: the graph cannot be instantiated")
        return _Graph(self)


class _Graph:
    def __init__(self, builder):
        self.work, self.people, self.launches = builder.work, builder.people, 0
        builder.stream.nvidia.graphs.append(self)

    def upload(self, stream):
        stream.nvidia.check_current()

    def launch(self, stream):
        self.launches += 1
        for work in self.work:
            stream.order(work)


def _device(nvidia):
    class Device:
        def __new__(cls, device_id=None):
            if nvidia.no_driver:
                raise RuntimeError('"cuda" is an NVIDIA driver library and can only be found via system search.')
            return object.__new__(cls)

        name, arch = property(lambda self: nvidia.name), property(lambda self: nvidia.arch)

        def set_current(self, ctx=None):
            nvidia.threads.add(threading.get_ident())

        def create_stream(self, obj=None, options=None):
            nvidia.check_current()
            return _Stream(nvidia)

        def allocate(self, size, *, stream):
            nvidia.check_current()
            return nvidia.allocate(size)

    return Device


def _pinned(nvidia):
    class LegacyPinnedMemoryResource:
        def allocate(self, size, *, stream=None):
            nvidia.check_current()
            return nvidia.allocate(size)

    return LegacyPinnedMemoryResource


def _enum(name, *members):
    """As pybind11 makes them: no integers, but int() of them."""
    made = type(name, (), {"__init__": lambda self, value: setattr(self, "value", value)})
    made.__int__ = lambda self: self.value
    for value, member in members:
        setattr(made, member, made(value))
    return made


def _dims(cls, shape: list):
    return tuple.__new__(cls, shape)


class _HostMemory:
    def __init__(self, content):
        self.content = content

    def __bytes__(self):
        return self.content


def _tensorrt(nvidia):
    flags = [(1, "STRONGLY_TYPED")] if nvidia.major >= 11 else [(0, "EXPLICIT_BATCH"), (1, "STRONGLY_TYPED")]
    builder_flags = [(6, "TF32")] if nvidia.major >= 11 else [(0, "FP16"), (6, "TF32")]
    severity = _enum("Severity", (0, "INTERNAL_ERROR"), (1, "ERROR"), (2, "WARNING"), (3, "INFO"), (4, "VERBOSE"))
    logger = type("ILogger", (), {"Severity": severity, "WARNING": severity.WARNING})
    return _module(
        "tensorrt",
        __version__=nvidia.version,
        DataType=_enum("DataType", (0, "FLOAT"), (1, "HALF")),
        Dims=type("Dims", (tuple,), {"__new__": _dims}),
        ILogger=logger,
        Logger=type("Logger", (logger,), {"__init__": lambda self, min_severity=None: None}),
        IHostMemory=_HostMemory,
        NetworkDefinitionCreationFlag=_enum("NetworkDefinitionCreationFlag", *flags),
        BuilderFlag=_enum("BuilderFlag", *builder_flags),
        MemoryPoolType=_enum("MemoryPoolType", (0, "WORKSPACE")),
        ExecutionContextAllocationStrategy=_enum(
            "ExecutionContextAllocationStrategy", (0, "STATIC"), (1, "ON_PROFILE_CHANGE"), (2, "USER_MANAGED")
        ),
        INetworkDefinition=_Network,
        IOptimizationProfile=_Profile,
        ITimingCache=_TimingCache,
        IBuilderConfig=_BuilderConfig,
        Builder=_bound(nvidia, "Builder", _Builder),
        ParserError=_ParserError,
        OnnxParser=_OnnxParser,
        IExecutionContext=_Context,
        ICudaEngine=_Engine,
        Runtime=_bound(nvidia, "Runtime", _Runtime),
    )


def _bound(nvidia, name, kind):
    class Bound(kind):
        def __init__(self, logger):
            nvidia.check_current()
            if name in nvidia.broken:
                raise TypeError("pybind11::init(): factory function returned nullptr")
            self.nvidia = nvidia

    return Bound


class _Network:
    model = None


class _Profile:
    def __init__(self):
        self.shapes = {}

    def set_shape(self, input, min, opt, max):
        self.shapes[input] = (min, opt, max)


class _TimingCache:
    def __init__(self, content):
        self.content = content

    def serialize(self):
        return _HostMemory(self.content)


class _BuilderConfig:
    def __init__(self, nvidia):
        self.nvidia, self.cache, self.profiles = nvidia, None, []

    def set_memory_pool_limit(self, pool, pool_size):
        assert pool_size > 0

    def clear_flag(self, flag):
        self.nvidia.cleared.append(flag)

    def add_optimization_profile(self, profile):
        if "profile" in self.nvidia.broken:
            return -1
        self.profiles.append(profile)
        return len(self.profiles) - 1

    def create_timing_cache(self, serialized_timing_cache):
        if serialized_timing_cache and not serialized_timing_cache.startswith(b"cache of "):
            return None
        return _TimingCache(serialized_timing_cache or self._mine())

    def set_timing_cache(self, cache, ignore_mismatch):
        assert isinstance(cache, _TimingCache)  # pybind11 takes no None here
        good = (ignore_mismatch or cache.content.startswith(self._mine())) and "cache" not in self.nvidia.broken
        if good:
            self.cache = cache
            self.nvidia.caches.append(cache.content)
        return good

    def get_timing_cache(self):
        return self.cache

    def _mine(self):
        return f"cache of {self.nvidia.name}, {self.nvidia.version}".encode()


class _Builder:
    def create_network(self, flags=0):
        self.nvidia.network_flags.append(flags)
        return _Network()

    def create_builder_config(self):
        return _BuilderConfig(self.nvidia)

    def create_optimization_profile(self):
        return _Profile()

    def build_serialized_network(self, network, config):
        if "build" in self.nvidia.broken:
            return None
        for value in network.model.graph.input:  # each with a profile, from 1 person on
            low, usual, high = config.profiles[0].shapes[value.name]
            assert low[0] == 1 <= usual[0] <= high[0] and low[1:] == usual[1:] == high[1:]
        if config.cache is not None:
            config.cache.content += b", measured"
        return _HostMemory(MAGIC + self.nvidia.version.encode() + b"\n" + network.model.SerializeToString())


class _ParserError:
    def __init__(self, text):
        self.text = text

    def desc(self):
        return self.text


class _OnnxParser:
    def __init__(self, network, logger):
        self.network, self.errors = network, []

    @property
    def num_errors(self):
        return len(self.errors)

    def parse(self, model, path=None):
        self.network.model = onnx.load_from_string(model)
        unknown = {n.op_type for n in self.network.model.graph.node} - OPERATORS
        self.errors = [_ParserError(f"no importer for {name}") for name in sorted(unknown)]
        return not self.errors

    def get_error(self, index):
        return self.errors[index]


class _Runtime:
    def deserialize_cuda_engine(self, serialized_engine):
        head, _, body = bytes(serialized_engine).partition(b"\n")
        if head != MAGIC + self.nvidia.version.encode():
            return None
        return _Engine(self.nvidia, body)


class _Engine:
    def __init__(self, nvidia, body):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.nvidia, self.session = nvidia, onnxruntime.InferenceSession(body, options, ["CPUExecutionProvider"])
        self.inputs = {v.name: tuple(v.shape[1:]) for v in self.session.get_inputs()}
        self.outputs = {v.name: tuple(v.shape[1:]) for v in self.session.get_outputs()}

    num_io_tensors = property(lambda self: len(self.inputs) + len(self.outputs))
    device_memory_size_v2 = property(lambda self: 4096)

    def get_tensor_name(self, index):
        return [*self.inputs, *self.outputs][index]

    def get_tensor_dtype(self, name):
        types = sys.modules["tensorrt"].DataType
        return types.HALF if "type" in self.nvidia.broken and name in self.outputs else types.FLOAT

    def create_execution_context(self, strategy=None):
        self.nvidia.strategies.append(strategy)
        return None if "context" in self.nvidia.broken else _Context(self.nvidia, self)


class _Context:
    def __init__(self, nvidia, engine):
        self.nvidia, self.engine = nvidia, engine
        self.shapes, self.addresses, self.work = {}, {}, None
        self.state = 0  # counts what was changed
        self.settled = -1  # the state at the last run: only then it may be captured

    def set_device_memory(self, memory, size):
        assert size >= self.engine.device_memory_size_v2
        self.work, self.state = memory, self.state + 1

    def set_input_shape(self, name, shape):
        if "shape" in self.nvidia.broken or shape[1:] != self.engine.inputs[name] or not 1 <= shape[0] <= 8:
            return False
        self.shapes[name], self.state = shape, self.state + 1
        return True

    def set_tensor_address(self, name, memory):
        if "address" in self.nvidia.broken or name not in {**self.engine.inputs, **self.engine.outputs}:
            return False
        self.addresses[name], self.state = memory, self.state + 1
        return True

    def execute_async_v3(self, stream_handle):
        stream, people = self.nvidia.streams[stream_handle], {shape[0] for shape in self.shapes.values()}
        ready = self.work and len(people) == 1 and set(self.shapes) == set(self.engine.inputs)
        if not ready or len(self.addresses) < self.engine.num_io_tensors or "execute" in self.nvidia.broken:
            return False
        people, state, builder = people.pop(), self.state, stream.builder
        if builder is not None:
            builder.people = people
            if people in self.nvidia.uncapturable or self.settled != state:
                builder.refused = True
                return False
        self.settled = state

        def work():
            assert state == self.state, "the context was changed since"
            self.nvidia.array(self.work, (1,))
            given = {n: self.nvidia.array(self.addresses[n], (people, *s)) for n, s in self.engine.inputs.items()}
            for name, answer in zip(self.engine.outputs, self.engine.session.run(None, given), strict=True):
                self.nvidia.array(self.addresses[name], answer.shape)[:] = answer

        stream.order(work)
        return True
