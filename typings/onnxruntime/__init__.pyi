# What hmr_ros uses of ONNX Runtime; where it is from: typings/README.md
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any, ClassVar

__version__: str

def get_available_providers() -> list[str]: ...

class GraphOptimizationLevel:
    ORT_DISABLE_ALL: ClassVar[GraphOptimizationLevel]
    ORT_ENABLE_ALL: ClassVar[GraphOptimizationLevel]

class SessionOptions:
    intra_op_num_threads: int
    inter_op_num_threads: int
    log_severity_level: int
    graph_optimization_level: GraphOptimizationLevel
    def add_session_config_entry(self, key: str, value: str, /) -> None: ...

class ModelMetadata:
    @property
    def custom_metadata_map(self) -> dict[str, str]: ...

class InferenceSession:
    def __init__(
        self,
        path_or_bytes: str | bytes | PathLike[str],
        sess_options: SessionOptions | None = None,
        providers: Sequence[str | tuple[str, dict[Any, Any]]] | None = None,
        provider_options: Sequence[dict[Any, Any]] | None = None,
    ) -> None: ...
    def run(
        self, output_names: Sequence[str], input_feed: Mapping[str, Any], run_options: None = None
    ) -> list[Any]: ...
    def get_providers(self) -> list[str]: ...
    def get_modelmeta(self) -> ModelMetadata: ...
