# SPDX-License-Identifier: Apache-2.0
"""Installs the part without ROS: `pip install .`. With ROS, colcon uses CMakeLists.txt instead."""

from __future__ import annotations

import ast
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def version() -> str:
    """`yolact_ros.__version__`, read without importing what is not installed yet."""
    module = ast.parse((ROOT / "yolact_ros" / "__init__.py").read_text(encoding="utf-8"))
    for statement in module.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__version__":
            return str(ast.literal_eval(statement.value))
    raise ValueError("yolact_ros/__init__.py: expected an assignment to __version__, found none")


def requirements(name: str) -> list[str]:
    """The lines of a file in requirements/."""
    lines = (ROOT / "requirements" / name).read_text(encoding="utf-8").splitlines()
    return [line for line in lines if line.strip() and not line.startswith("#")]


setup(
    name="yolact-ros",
    version=version(),
    description="Real-time instance segmentation with YOLACT, alone or as a ROS 2 node",
    license="Apache-2.0",
    author="yolact_ros developers",
    author_email="maintainers@yolact-ros.dev",
    python_requires=">=3.10",
    packages=find_packages(include=["yolact_ros", "yolact_ros.*"]),
    package_data={
        "yolact_ros": [
            "py.typed",
            "weights/*.safetensors",
            "recordings/bags/*.msg",
            "web/live/page.*",
        ]
    },
    zip_safe=False,
    install_requires=requirements("core.txt"),
    extras_require={
        "train": requirements("train.txt"),
        "onnx": requirements("onnx.txt"),
        "openvino": requirements("openvino.txt"),
        "quantize": [
            *requirements("onnx.txt"),
            *requirements("train.txt"),
            *requirements("quantize.txt"),
        ],
        "tracking": requirements("tracking.txt"),
        "bag": requirements("bag.txt"),
        "video": requirements("video.txt"),
        "view": requirements("view.txt"),
    },
    entry_points={"console_scripts": ["yolact-ros = yolact_ros.cli.main:main"]},
)
