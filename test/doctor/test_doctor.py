# SPDX-License-Identifier: Apache-2.0
"""Broken machines: each fault is found, and is gone once its remedy is followed."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import yolact_ros
from yolact_ros.cli import doctor as command
from yolact_ros.cli.main import main
from yolact_ros.doctor import gpu, software, weights
from yolact_ros.doctor.gpu import TorchFacts, check_torch
from yolact_ros.findings import ERROR, LEVELS, NOT_CHECKED, OK, WARNING, Finding, examine, ok
from yolact_ros.inference import shipped_weights
from yolact_ros.presets import get_preset

ROOT = Path(__file__).parents[2]
PACKAGE = Path(yolact_ros.__file__).parent


def test_an_environment_that_is_active_and_not_used():
    version = (3, 12, 3, "final", 0)
    found = software.check_python(version, "/usr/bin/python3", "/usr", {"VIRTUAL_ENV": "/ws/venv"})
    assert found.level == WARNING and "/ws/venv" in found.found
    assert "/ws/venv/bin/python" in found.remedy
    python = found.remedy.split(": ")[1].split()[0]
    after = software.check_python(version, python, "/ws/venv", {"VIRTUAL_ENV": "/ws/venv"})
    assert after == ok("Python", "3.12.3, /ws/venv/bin/python")


def test_conda_beside_ros():
    variables = {"CONDA_PREFIX": "/conda", "ROS_DISTRO": "jazzy"}
    found = software.check_python((3, 12, 3), "/conda/bin/python", "/conda", variables)
    assert found.level == WARNING and "conda deactivate" in found.remedy
    after = software.check_python((3, 12, 3), "/usr/bin/python3", "/usr", {"ROS_DISTRO": "jazzy"})
    assert after.level == OK


MISSING = "raise ModuleNotFoundError(\"No module named 'rclpy'\")"
WORKS = "def get_rmw_implementation_identifier(): pass"
ENDS_FOR_ANOTHER_MIDDLEWARE = """
import os, sys
if name := os.environ.get("RMW_IMPLEMENTATION"):
    sys.exit(f"[ERROR] [17957.672] [rcl]: RMW implementation {name} is not installed")
"""  # as rcl does


@pytest.fixture
def sourced(monkeypatch, tmp_path):
    """Sources a ROS 2 whose rclpy is a module of this text."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.delenv("RMW_IMPLEMENTATION", raising=False)

    def source(distro, text):
        monkeypatch.setenv("ROS_DISTRO", distro)
        (tmp_path / "rclpy.py").write_text(text)

    return source


def test_ros_is_not_sourced(sourced, monkeypatch, tmp_path):
    (tmp_path / "jazzy").mkdir()
    (tmp_path / "jazzy" / "setup.bash").touch()
    monkeypatch.setattr(software, "_INSTALLED_ROS", tmp_path)
    sourced("", MISSING)
    found = software.look_at_ros()
    assert found.level == WARNING
    assert found.remedy.startswith(". /opt/ros/jazzy/setup.bash, then . install/setup.bash")
    sourced("jazzy", WORKS)
    assert software.look_at_ros() == ok("ROS", "ROS 2 jazzy")


def test_ros_is_that_of_another_python(sourced):
    reason = "No module named 'rclpy._rclpy_pybind11'"
    sourced("jazzy", f"raise ImportError({reason!r})")
    found = software.look_at_ros()
    assert found.level == ERROR and reason in found.found and sys.executable in found.found
    assert "-m venv --system-site-packages" in found.remedy
    sourced("jazzy", WORKS)
    assert software.look_at_ros().level == OK


def test_the_middleware_is_not_there(sourced, monkeypatch):
    sourced("jazzy", f"{ENDS_FOR_ANOTHER_MIDDLEWARE}\n{WORKS}")
    monkeypatch.setenv("RMW_IMPLEMENTATION", "rmw_cyclonedds_cpp")
    found = software.look_at_ros()
    assert found.level == ERROR and "is not there: RMW implementation" in found.found
    assert "apt install ros-jazzy-rmw-cyclonedds-cpp, or unset" in found.remedy
    monkeypatch.delenv("RMW_IMPLEMENTATION")
    assert software.look_at_ros().level == OK


def _tree(folder: Path, *, built: bool) -> Path:
    """A source tree or an installation of this package; returns what is to be in PYTHONPATH."""
    (folder / "yolact_ros").mkdir(parents=True)
    for entry in PACKAGE.iterdir():
        if entry.name not in ("msg", "srv", "__pycache__"):
            (folder / "yolact_ros" / entry.name).symlink_to(entry)
    if built:
        (folder / "yolact_ros" / "msg").mkdir()
        (folder / "yolact_ros" / "msg" / "__init__.py").touch()
    else:
        (folder / "package.xml").touch()
    return folder


def test_a_source_tree_hides_the_built_package(tmp_path):
    source, built = _tree(tmp_path / "src", built=False), _tree(tmp_path / "lib", built=True)
    share = tmp_path / "install" / "share" / "yolact_ros" / "package.xml"
    share.parent.mkdir(parents=True)
    share.write_text(f"<version>{yolact_ros.__version__}</version>")

    def look(*path, prefix=tmp_path / "install"):
        code = (
            "from dataclasses import astuple; from yolact_ros.doctor.software import "
            "look_at_messages as look; import json; print(json.dumps(astuple(look())))"
        )
        paths = os.pathsep.join(map(str, path))
        variables = {**os.environ, "PYTHONPATH": paths, "AMENT_PREFIX_PATH": str(prefix)}
        words = [sys.executable, "-c", code]
        return Finding(*json.loads(subprocess.check_output(words, env=variables, cwd=tmp_path)))

    hidden = look(source)
    assert hidden.level == ERROR and f"the source tree {source}" in hidden.found
    assert f"take {source} out of PYTHONPATH" in hidden.remedy
    mixed = look(source, built)
    assert mixed.level == WARNING and f"take {source} out of PYTHONPATH" in mixed.remedy
    assert look(built).level == OK
    nothing = look(source, prefix=tmp_path)
    assert nothing.level == ERROR and "colcon build" in nothing.remedy
    share.write_text("<version>0.0.1</version>")
    old = look(built)
    assert old.level == ERROR and "is 0.0.1, the code" in old.found and "colcon" in old.remedy


H100 = ("NVIDIA H100", (9, 0))
BLACKWELL = ("NVIDIA RTX 5090", (12, 0))
ORIN = ("Orin", (8, 7))
FITTING = TorchFacts("2.15.0", "", "13.0", ("sm_80", "sm_90", "sm_120"), (H100,))


@pytest.mark.parametrize(
    ("facts", "said", "remedy"),
    [
        (TorchFacts("", "No module named 'torch'"), "not installed", "pip install"),
        (TorchFacts("", "libcudart.so.12: no such file"), "libcudart", "pip uninstall -y torch"),
        (TorchFacts("2.15.0+cpu", "built without"), "built without CUDA", "pip uninstall -y torch"),
        (TorchFacts("2.15.0", "finds no driver", "13.0"), "finds no driver", "update NVIDIA's"),
        (
            TorchFacts("2.4.0", "", "12.1", ("sm_80", "sm_90"), (BLACKWELL,)),
            "built for sm_80, sm_90, not for NVIDIA RTX 5090 (sm_120)",
            "pip uninstall -y torch torchvision",
        ),
    ],
)
def test_torch_does_not_fit_the_gpu(facts, said, remedy):
    found = check_torch(facts, has_gpu=True, is_jetson=False)
    assert found.level == ERROR and said in found.found and remedy in found.remedy
    assert check_torch(FITTING, has_gpu=True, is_jetson=False).level == OK


def test_torch_on_a_jetson_is_that_of_nvidia():
    found = check_torch(TorchFacts("2.15.0+cpu"), has_gpu=True, is_jetson=True)
    assert found.level == ERROR and "wheel for your JetPack" in found.remedy
    # binaries run on later GPUs of their generation, intermediate code on all later ones
    for built_for, level in (("sm_80", OK), ("compute_70", OK), ("sm_90", ERROR), ("sm_70", ERROR)):
        facts = TorchFacts("2.5.0", "", "12.6", (built_for,), (ORIN,))
        assert check_torch(facts, has_gpu=True, is_jetson=True).level == level
    assert check_torch(TorchFacts("2.15.0"), has_gpu=False, is_jetson=False).level == OK


def test_operators_of_torchvision_are_missing(monkeypatch):
    def nms(boxes, scores, threshold):
        raise RuntimeError("operator torchvision::nms does not exist")

    vision = ModuleType("torchvision")
    vision.__version__, vision.ops = "0.29.2", SimpleNamespace(nms=nms)
    monkeypatch.setitem(sys.modules, "torchvision", vision)
    found = gpu.look_at_torchvision()
    assert found.level == ERROR and "torchvision::nms does not exist" in found.found
    assert "torch torchvision, both in one command" in found.remedy
    vision.ops.nms = lambda boxes, scores, threshold: boxes
    assert gpu.look_at_torchvision().level == OK


@pytest.fixture
def folder_of_programs(tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def test_there_is_no_compiler_for_triton(folder_of_programs, monkeypatch, tmp_path):
    variables = {"PATH": str(folder_of_programs)}
    monkeypatch.setattr(gpu.sysconfig, "get_paths", lambda: {"include": str(tmp_path)})
    (tmp_path / "Python.h").touch()
    found = gpu.look_at_compiler(variables)
    assert found.level == WARNING and "apt-get install gcc" in found.remedy
    compiler = folder_of_programs / "gcc"
    compiler.touch()
    compiler.chmod(0o755)
    assert gpu.look_at_compiler(variables) == ok("compiler", f"{compiler} and Python.h")
    (tmp_path / "Python.h").unlink()
    found = gpu.look_at_compiler(variables)
    assert found.level == WARNING and f"no {tmp_path}/Python.h" in found.found
    assert "python3-dev" in found.remedy
    (tmp_path / "Python.h").touch()
    assert gpu.look_at_compiler(variables).level == OK


def test_cv_bridge_does_not_work_with_this_numpy(monkeypatch, tmp_path):
    (tmp_path / "sensor_msgs.py").touch()
    bridge = tmp_path / "cv_bridge.py"
    text = (
        "class CvBridge:\n"
        "    def cv2_to_imgmsg(self, image, encoding):\n"
        "        return image.{}()\n"
        "    def imgmsg_to_cv2(self, message, encoding): pass\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    bridge.write_text(text.format("tostring_of_numpy_1"))
    found = software.look_at_cv_bridge()
    assert found.level == WARNING and "no attribute 'tostring_of_numpy_1'" in found.found
    assert found.remedy == "pip install 'numpy<2'"
    bridge.write_text(text.format("tobytes"))
    assert software.look_at_cv_bridge().found.startswith("works with NumPy")
    # a compiled one says this, and goes on
    noise = "import sys\nprint('_ARRAY_API not found', file=sys.stderr)\n"
    bridge.write_text(noise + text.format("tobytes"))
    assert software.look_at_cv_bridge().level == WARNING


def test_two_opencvs_in_one_folder(monkeypatch, tmp_path):
    for name in ("opencv_python-4.10.0.84", "opencv_python_headless-4.11.0.86"):
        folder = tmp_path / f"{name}.dist-info"
        folder.mkdir()
        package, _, version = name.partition("-")
        text = f"Metadata-Version: 2.1\nName: {package.replace('_', '-')}\nVersion: {version}\n"
        (folder / "METADATA").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    found = software.look_at_opencv()
    assert found.level == WARNING
    assert "opencv-python 4.10.0.84 and opencv-python-headless 4.11.0.86 in" in found.found
    assert "pip uninstall -y opencv-python opencv-python-headless && pip install" in found.remedy
    shutil.rmtree(tmp_path / "opencv_python-4.10.0.84.dist-info")
    assert software.look_at_opencv().level == OK


def test_a_web_page_in_place_of_the_weights(tmp_path):
    file = tmp_path / "yolact_base_54_800000.pth"
    file.write_text("<!DOCTYPE html><title>Google Drive - Virus scan warning</title>")
    found = weights.check_weights(file)
    assert found.level == ERROR and "is a web page" in found.found
    assert "yolact-ros weights list" in found.remedy
    shutil.copy(shipped_weights(get_preset("yolact_demo")), file)
    assert weights.check_weights(file).found.startswith(f"{file}: of yolact_demo, ")
    assert weights.check_weights(None).level == NOT_CHECKED


def test_a_check_that_fails_hides_no_other():
    def fail():
        raise OSError("the disk is gone")

    def lack():
        raise ModuleNotFoundError(name="safetensors")

    [found] = examine("weights", lack)
    assert found.level == NOT_CHECKED and "safetensors is not" in found.found and found.remedy
    [found] = examine("disk", fail)
    assert found == Finding("disk", NOT_CHECKED, "OSError: the disk is gone")


FOUND = [
    ok("Python", "3.12"),
    Finding("compiler", WARNING, "no C compiler", "apt-get install gcc"),
    Finding("torch", ERROR, "built without CUDA", "pip install torch"),
]


def test_text_json_and_exit_status(monkeypatch, capsys):
    monkeypatch.setattr(command, "_examine", lambda arguments: iter(FOUND))
    assert main(["doctor"]) == 1
    text = capsys.readouterr().out
    assert re.search(r"^ERROR +torch +built without CUDA\n +→ pip install torch$", text, re.M)
    assert "3 checks, 1 error, 1 warning" in text and "yolact_ros 0." in text
    assert main(["doctor", "--json"]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert printed["findings"][2]["remedy"] == "pip install torch"
    assert printed["versions"]["yolact_ros"] == yolact_ros.__version__
    monkeypatch.setattr(command, "_examine", lambda arguments: iter(FOUND[:2]))
    assert main(["doctor"]) == 0


def test_without_ros_the_other_checks_are_made(sourced, monkeypatch, tmp_path, capsys):
    sourced("", MISSING)
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    monkeypatch.setattr(software, "look_at_cv_bridge", lambda: ok("cv_bridge", ""))
    monkeypatch.setattr(gpu, "look_at_torchvision", lambda: ok("torchvision", ""))
    weights = tmp_path / "weights.pth"
    weights.touch()
    file = tmp_path / "yolact.yaml"
    file.write_text(f"/**: {{ros__parameters: {{weights: {weights}}}}}")
    assert main(["doctor", "--json", "--image", "/camera", "--params", str(file)]) == 1
    printed = json.loads(capsys.readouterr().out)
    assert "rmw" not in printed["versions"], "importing a broken rclpy may end the process"
    found = {each["name"]: each for each in printed["findings"]}
    assert found["topics, parameters"]["level"] == NOT_CHECKED
    assert found["ROS"]["level"] == WARNING and found["ROS"]["remedy"]
    assert "is empty (0 bytes)" in found["weights"]["found"]
    assert found["torchvision"]["level"] == OK


def _names_of_checks() -> set[str]:
    """The first argument of each finding that the code makes."""
    names = set()
    files = [*PACKAGE.glob("doctor/*.py"), *PACKAGE.glob("ros/doctor/*.py")]
    for file in (*files, PACKAGE / "cli" / "doctor.py"):
        tree = ast.parse(file.read_text())
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
        }
        for node in ast.walk(tree):
            makes = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            if makes and node.func.id in ("ok", "warning", "error", "not_checked", "_split"):
                name = node.args[0]
                names.add(name.value if isinstance(name, ast.Constant) else constants.get(name.id))
    return names - {None}


def test_the_guide_lists_every_check():
    text = (ROOT / "docs" / "doctor.md").read_text()
    rows = re.findall(r"^\| ([\w ,']+) \|", text, re.MULTILINE)
    assert sorted(rows) == sorted({*_names_of_checks(), "check"})
    assert all(f"`{level}`" in text for level in LEVELS)
