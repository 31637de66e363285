"""Installs the Python part (`hmr` without ROS); the messages are built by CMakeLists.txt."""

import re
from pathlib import Path

from setuptools import find_packages, setup

version = re.search(r'__version__ = "(.+)"', Path("hmr_ros/__init__.py").read_text(encoding="utf-8"))

setup(
    name="hmr_ros",
    version=version.group(1) if version else "0",
    description="Real-time human mesh recovery for ROS 2",
    long_description=Path("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["hmr_ros", "hmr_ros.*"]),
    package_data={"hmr_ros": ["assets/*"]},
    data_files=[
        (f"share/hmr_ros/{d}", [str(p) for p in sorted(Path(d).glob("*.*"))])
        for d in ("config", "msg", "policies", "urdf")
    ],
    python_requires=">=3.10",
    # smplx is not among these and must not be: its licence forbids commercial use (requirements.txt, tests only)
    install_requires=[
        "ai-edge-litert>=2.0", "filterpy>=1.4.5", "flatbuffers>=23.5", "numpy>=1.26", "onnxruntime>=1.17",
        "opencv-python-headless>=4.8", "PyYAML>=6.0", "rosbags>=0.10", "scipy>=1.11", "tqdm>=4.60",
    ],
    extras_require={
        "torch": ["safetensors>=0.4", "torch>=2.2"],  # training, --quality, multiview, other step counts and windows
        "export": ["onnx>=1.16", "safetensors>=0.4", "torch>=2.2"],
        "view": ["viser>=1.0"],  # hmr view
        "ray": ["ray>=2.9"],  # hmr batch on a cluster
        "stream": ["python-osc>=1.8", "pyzmq>=25"],  # stream.vmc, stream.sonic
        "tensorrt": ["onnx>=1.16", "pycuda>=2024.1", "tensorrt>=10,<12"],  # pip compiles pycuda, with CUDA's toolkit
        "cuda-graphs": ["cuda-bindings>=12.8", "cuda-core>=1.2,<2", "onnx>=1.16", "tensorrt>=10,<12"],  # no compiler
        "exchange": ["pybvh>=0.9", "pygltflib>=1.16"],  # hmr convert --to bvh, glb
        "video": ["av>=14"],  # overlay.mp4 as H.264, which browsers play; its wheels carry GPL-licensed x264
    },
    entry_points={"console_scripts": ["hmr = hmr_ros.cli:main"]},
)  # fmt: skip
