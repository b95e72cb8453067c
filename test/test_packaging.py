# SPDX-License-Identifier: Apache-2.0
"""The package's descriptions agree with each other and with what the code imports."""

import ast
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

import yolact_ros

ROOT = Path(__file__).parents[1]
PACKAGE_XML = ElementTree.parse(ROOT / "package.xml").getroot()

ROSDEP_KEYS = {
    "PIL": "python3-pil",
    "aiohttp": "python3-aiohttp",
    "cv2": "python3-opencv",
    "matplotlib": "python3-matplotlib",
    "numpy": "python3-numpy",
    "torch": "python3-torch",
    "torchvision": "python3-torchvision",
    "requests": "python3-requests",
    "scipy": "python3-scipy",
    "tqdm": "python3-tqdm",
    "hypothesis": "python3-hypothesis",
    "packaging": "python3-packaging",
    "pytest": "python3-pytest",
    "yaml": "python3-yaml",
    "tf2_ros": "tf2_ros_py",
}
"""The rosdep key of an imported module, where it is not the module's own name."""

PIP_NAMES = {
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "faster_coco_eval": "faster-coco-eval",
    "yaml": "PyYAML",
}
"""The name of a module's distribution, where it is not the module's own name."""

WITHOUT_ROSDEP_KEY = {
    "av",
    "faster_coco_eval",
    "gdown",
    "lightning",
    "mcap",
    "mcap_ros2",
    "motmetrics",
    "nncf",
    "onnx",
    "onnxruntime",
    "onnxscript",
    "openvino",
    "playwright",
    "pycocotools",
    "rosbags",
    "safetensors",
}

OPTIONAL = {"triton"}
"""What comes with a PyTorch for CUDA, or is done without."""

IMPORTED_BY_OTHERS = {"pandas", "tensorboard"}
"""What motmetrics imports, in a version that matters, and what lightning imports unrequired."""

NOT_IMPORTED = {"rosidl_default_runtime"}
"""Run dependencies that no module imports: of the messages."""


def _imported(*folders: str) -> set[str]:
    """Top-level names of the modules that the Python files of some folders import."""
    found = set()
    for folder in folders:
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    found.update(alias.name.partition(".")[0] for alias in node.names)
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    found.add(node.module.partition(".")[0])
    return found - set(sys.stdlib_module_names) - {"yolact_ros"}


def _dependencies(*tags: str) -> set[str]:
    return {element.text for tag in tags for element in PACKAGE_XML.findall(tag)}


def _requirements(name: str) -> set[str]:
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    return {re.split(r"[\s\[<>=~!;]", line)[0] for line in lines if line and line[0] != "#"}


def test_package_xml_has_what_is_imported():
    needed = {ROSDEP_KEYS.get(name, name) for name in _imported("yolact_ros", "launch")}
    listed = _dependencies("depend", "exec_depend")
    assert needed - WITHOUT_ROSDEP_KEY - OPTIONAL == listed - NOT_IMPORTED


def test_package_xml_has_what_the_tests_import():
    needed = {ROSDEP_KEYS.get(name, name) for name in _imported("test")}
    known = _dependencies("depend", "exec_depend", "test_depend") | WITHOUT_ROSDEP_KEY | OPTIONAL
    assert needed - known - {"bootstrap", "yolact_testing"} == set()


def test_requirements_have_what_is_imported():
    ros = {name for name in _dependencies("depend", "exec_depend") if "python3-" not in name}
    imported = {name for name in _imported("yolact_ros") if ROSDEP_KEYS.get(name, name) not in ros}
    needed = {PIP_NAMES.get(name, name) for name in imported}
    files = ("core", "train", "onnx", "openvino", "quantize", "tracking", "video", "bag", "view")
    listed = set[str]().union(*(_requirements(f"{name}.txt") for name in files))
    assert needed - OPTIONAL == listed - IMPORTED_BY_OTHERS


TRAINING = ("training", "evaluation", "bench")


def test_the_training_packages_are_imported_for_training_alone():
    parts = [file.name for file in (ROOT / "yolact_ros").iterdir() if file.is_dir()]
    others = [f"yolact_ros/{part}" for part in parts if part not in TRAINING]
    assert not _imported(*others) & _requirements("train.txt")


def test_the_version_is_the_same_everywhere():
    version = yolact_ros.__version__
    assert PACKAGE_XML.findtext("version") == version
    assert (
        subprocess.check_output(
            [sys.executable, "setup.py", "--version"],
            cwd=ROOT,
            text=True,
            stderr=subprocess.DEVNULL,
        ).strip()
        == version
    )
    top = re.search(r"^(\d+\.\d+\.\d+) \(", (ROOT / "CHANGELOG.rst").read_text(), re.MULTILINE)
    assert top is not None and top.group(1) == version


def test_each_version_bound_stands_in_one_place():
    bound = re.compile(r"[a-zA-Z_-]+\s*(==|>=|<=|<|~=)\s*\d")
    for name in ("pyproject.toml", "setup.py"):
        text = (ROOT / name).read_text().replace("setuptools>=61", "").replace(">=3.10", "")
        assert not bound.search(text), name


def test_configuration_files_are_well_formed():
    yaml = pytest.importorskip("yaml")
    files = sorted(file for file in (ROOT / "config").rglob("*") if file.is_file())
    expected = {"fastdds.xml", "yolact.yaml", "yolact.rviz", "yolact.policy.xml"}
    assert expected <= {file.name for file in files}
    for file in files:
        if file.suffix == ".xml":
            ElementTree.parse(file)
        else:
            assert isinstance(yaml.safe_load(file.read_text()), dict), file


def test_the_profile_holds_several_of_the_largest_images():
    """The sizes that were measured to lose nothing, also in a container's 64 MB of /dev/shm."""
    profile = ElementTree.parse(ROOT / "config" / "fastdds.xml").getroot()
    space = {"": "http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles"}
    size = {name: int(profile.findtext(f".//{name}", "", space)) for name in _SEGMENT}
    assert size == {"segment_size": 16 * 2**20, "maxMessageSize": 8 * 2**20}
    assert profile.findtext(".//useBuiltinTransports", "", space) == "false"
    used = [element.text for element in profile.iterfind(".//userTransports/transport_id", space)]
    made = [
        element.text for element in profile.iterfind(".//transport_descriptor/transport_id", space)
    ]
    assert used == made


_SEGMENT = ("segment_size", "maxMessageSize")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with what `pip install .` installs, and the environment to run it in."""
    folder = tmp_path_factory.mktemp("pip")
    source = folder / "source"
    # a copy: setuptools would leave build/ and an egg-info folder in the checkout
    ignored = shutil.ignore_patterns("__pycache__")
    for name in ("setup.py", "pyproject.toml", "requirements", "yolact_ros", "README.md"):
        item = ROOT / name
        if item.is_dir():
            shutil.copytree(item, source / name, ignore=ignored)
        else:
            source.mkdir(exist_ok=True)
            shutil.copy(item, source / name)
    options = ["--no-deps", "--no-build-isolation", "--no-index", "--ignore-installed", "--quiet"]
    prefix = folder / "prefix"
    result = subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, "--prefix", prefix, source],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    [packages] = prefix.glob("lib/python3*/site-packages")
    environment = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return prefix, {**environment, "PYTHONPATH": str(packages)}


@pytest.mark.slow
def test_pip_installs_modules_weights_and_types(installed):
    prefix, _ = installed
    [package] = prefix.glob("lib/python3*/site-packages/yolact_ros")
    missing = [
        str(file)
        for file in (ROOT / "yolact_ros").rglob("*")
        if file.suffix in (".py", ".typed", ".safetensors", ".html", ".css", ".js")
        and not (package / file.relative_to(ROOT / "yolact_ros")).exists()
    ]
    assert not missing


@pytest.mark.slow
def test_the_command_of_pip_predicts(installed, tmp_path):
    import cv2

    prefix, environment = installed
    picture = tmp_path / "picture.png"
    cv2.imwrite(str(picture), np.full((90, 120, 3), 80, np.uint8))
    command = [prefix / "bin" / "yolact-ros"]
    for arguments in (["--help"], ["predict", "--preset", "yolact_demo", "picture.png"]):
        result = subprocess.run(
            [*command, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True
        )
        assert result.returncode == 0, result.stdout + result.stderr


def test_the_built_package_is_what_is_tested():
    """With what the message generator installs under the same name."""
    import yolact_ros.msg

    if "AMENT_PREFIX_PATH" not in os.environ:
        pytest.skip("no ROS 2 environment")
    folder = Path(yolact_ros.__path__[0])
    assert (folder / "msg").is_dir(), f"{folder} is the source tree"
    assert (folder / "__init__.py").read_text() == (ROOT / "yolact_ros/__init__.py").read_text()


def test_the_examples_are_installed():
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    shares = [Path(prefix) / "share" / "yolact_ros" for prefix in prefixes]
    share = next((share for share in shares if share.is_dir()), None)
    if share is None:
        pytest.skip("no ROS 2 environment")
    own, installed = (
        {
            file.relative_to(folder)
            for file in (folder / "examples").rglob("*.*")
            if file.suffix != ".pyc"
        }
        for folder in (ROOT, share)
    )
    assert own == installed and Path("examples/cpp/package.xml") in own
