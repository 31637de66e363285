"""TensorRT's Python interface as documented, on the GPU of fake_nvidia.py: networks are answered by ONNX Runtime."""

import sys

import onnx
import onnxruntime

MAGIC = b"fake plan of "
# "Supported ONNX Operators" of onnx-tensorrt 10.1, opset 9 to 20, as far as these graphs may need them
OPERATORS = frozenset(
    """
    Abs Add And Cast Ceil Clip Concat Constant ConstantOfShape Conv Cos Cumsum Div Einsum Equal Erf Exp Expand
    Flatten Floor Gather GatherElements GatherND Gemm Greater GreaterOrEqual Identity LayerNormalization Less
    LessOrEqual Log LogSoftmax MatMul Max MaxPool Min Mod Mul Neg Not Or Pad Pow Range Reciprocal ReduceL2 ReduceMax
    ReduceMean ReduceSum Relu Reshape Resize Round ScatterND Shape Sigmoid Sign Sin Slice Softmax Softplus
    Split Sqrt Squeeze Sub Sum Tanh Tile Transpose Unsqueeze Where
    """.split()  # noqa: SIM905
)


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


def content(nvidia):
    """Of the module tensorrt."""
    flags = [(1, "STRONGLY_TYPED")] if nvidia.major >= 11 else [(0, "EXPLICIT_BATCH"), (1, "STRONGLY_TYPED")]
    builder_flags = [(6, "TF32")] if nvidia.major >= 11 else [(0, "FP16"), (6, "TF32")]
    severity = _enum("Severity", (0, "INTERNAL_ERROR"), (1, "ERROR"), (2, "WARNING"), (3, "INFO"), (4, "VERBOSE"))
    logger = type("ILogger", (), {"Severity": severity, "WARNING": severity.WARNING})
    return {
        "__version__": nvidia.version,
        "DataType": _enum("DataType", (0, "FLOAT"), (1, "HALF")),
        "Dims": type("Dims", (tuple,), {"__new__": _dims}),
        "ILogger": logger,
        "Logger": type("Logger", (logger,), {"__init__": lambda self, min_severity=None: None}),
        "IHostMemory": _HostMemory,
        "NetworkDefinitionCreationFlag": _enum("NetworkDefinitionCreationFlag", *flags),
        "BuilderFlag": _enum("BuilderFlag", *builder_flags),
        "MemoryPoolType": _enum("MemoryPoolType", (0, "WORKSPACE")),
        "ExecutionContextAllocationStrategy": _enum(
            "ExecutionContextAllocationStrategy", (0, "STATIC"), (1, "ON_PROFILE_CHANGE"), (2, "USER_MANAGED")
        ),
        "INetworkDefinition": _Network,
        "IOptimizationProfile": _Profile,
        "ITimingCache": _TimingCache,
        "IBuilderConfig": _BuilderConfig,
        "Builder": _bound(nvidia, "Builder", _Builder),
        "ParserError": _ParserError,
        "OnnxParser": _OnnxParser,
        "IExecutionContext": _Context,
        "ICudaEngine": _Engine,
        "Runtime": _bound(nvidia, "Runtime", _Runtime),
    }


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
