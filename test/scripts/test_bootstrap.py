# SPDX-License-Identifier: Apache-2.0
"""What scripts/setup decides, on made-up machines: folders, programs in PATH and variables."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETUP = ROOT / "scripts" / "setup"
sys.path.insert(0, str(ROOT / "scripts"))

from bootstrap import machine  # noqa: E402
from bootstrap.environment import Environment  # noqa: E402
from bootstrap.steps import SetupError, Steps  # noqa: E402
from bootstrap.workspace import Workspace  # noqa: E402


@pytest.fixture
def steps(tmp_path):
    return Steps(tmp_path / "log" / "setup.log")


def _program(folder: Path, name: str, script: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return file


def test_a_failing_command_shows_the_end_of_its_output(steps, tmp_path, capsys):
    script = "for i in $(seq 100); do echo line $i; done; echo broken >&2; exit 3"
    with (
        pytest.raises(SetupError, match=r"sh ended with 3\.(?s:.*)line 100\n    broken") as failure,
        steps.step("doing it"),
    ):
        steps.run(["sh", "-c", script], os.environ, tmp_path)
    assert "line 3\n" not in str(failure.value)
    assert str(steps.log) in str(failure.value)
    assert "line 3\n" in steps.log.read_text()
    assert capsys.readouterr().out == "setup: doing it ... failed\n"


def test_no_ros_is_sourced(monkeypatch):
    monkeypatch.delenv("ROS_DISTRO", raising=False)
    monkeypatch.delenv("AMENT_PREFIX_PATH", raising=False)
    assert machine.sourced_ros() is None


@pytest.mark.parametrize(("where", "expected"), [("system", "humble"), ("environment", None)])
def test_a_sourced_ros_is_used_unless_it_is_that_of_an_environment(
    monkeypatch, tmp_path, where, expected
):
    _program(tmp_path, "python3", f"echo {where}")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("ROS_DISTRO", "humble")
    assert machine.sourced_ros() == expected


def test_a_ros_that_python_cannot_import_is_an_error(monkeypatch, tmp_path):
    _program(tmp_path, "python3", "echo 'ModuleNotFoundError: rclpy' >&2; exit 1")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("ROS_DISTRO", "humble")
    with pytest.raises(SetupError, match=r"humble is sourced, but .*/python3 cannot import.*rclpy"):
        machine.sourced_ros()


def _describe(version):
    """Makes every interpreter say that it has a version, or be missing."""

    def describe(executable):
        if executable != sys.executable:
            return None
        return machine.Python(executable, version, Path("/Python.h"), "/usr", True)

    return describe


@pytest.mark.parametrize("version", [(3, 9, 2), (3, 14, 0)])
def test_a_python_without_wheels_is_one_clear_line(monkeypatch, version):
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(machine, "describe_python", _describe(version))
    with pytest.raises(
        SetupError, match=r"3\.10 to 3\.13, this is .* Install one of them"
    ) as error:
        machine.python_for_wheels()
    assert "\n" not in str(error.value)


def test_another_machine_is_one_clear_line(monkeypatch):
    monkeypatch.setattr(machine.platform, "machine", lambda: "aarch64")
    with pytest.raises(SetupError, match=r"Linux x86_64, this is Linux aarch64\. Install ROS 2"):
        machine.python_for_wheels()


def test_another_python_in_path_is_found(monkeypatch):
    def describe(executable):
        version = {sys.executable: (3, 14, 0), "python3.12": (3, 12, 3)}.get(executable)
        return version and machine.Python(executable, version, Path("/Python.h"), "/usr", True)

    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(machine, "describe_python", describe)
    assert machine.python_for_wheels().name == "3.12"


def test_this_python_is_described():
    python = machine.describe_python(sys.executable)
    assert python is not None
    assert python.version == sys.version_info[:3]
    assert python.header.is_file()
    assert machine.describe_python("python-that-is-not-there") is None


@pytest.fixture
def bare_machine(monkeypatch, tmp_path):
    """A PATH with no compiler; `apt-get` there brings a g++ once the lists were updated."""
    folder = tmp_path / "bin"
    for name in ("env", "sh", "chmod", "test", "touch"):
        _program(folder, name, f'exec {machine.shutil.which(name)} "$@"')
    monkeypatch.setenv("PATH", str(folder))
    header = tmp_path / "Python.h"
    header.touch()
    python = machine.Python("python3", (3, 11, 0), header, "/usr", True)
    monkeypatch.setattr(machine, "describe_python", lambda executable: python)
    _program(folder, "make", "")
    return folder, python


def test_missing_tools_are_installed_after_an_update(monkeypatch, bare_machine, steps, tmp_path):
    folder, python = bare_machine
    lists, compiler = tmp_path / "lists", folder / "g++"
    _program(
        folder,
        "apt-get",
        f"if [ $1 = update ]; then touch {lists}; exit 0; fi\n"
        f"test -e {lists} || exit 100\n"
        f'touch "{compiler}" && chmod 755 "{compiler}"',
    )
    monkeypatch.setattr(machine.os, "geteuid", lambda: 0)
    machine.install_missing_tools(python, steps, tmp_path)
    log = steps.log.read_text()
    assert log.count("apt-get install -y --no-install-recommends g++\n") == 2
    machine.install_missing_tools(python, steps, tmp_path)
    assert steps.log.read_text() == log


def test_a_user_without_rights_is_told_what_to_install(monkeypatch, bare_machine, steps, tmp_path):
    folder, python = bare_machine
    _program(folder, "apt-get", "exit 1")
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    with pytest.raises(SetupError, match=r"As root run\n    apt-get install g\+\+\n"):
        machine.install_missing_tools(python, steps, tmp_path)


def test_a_machine_without_apt_is_told_what_to_install(bare_machine, steps, tmp_path):
    _, python = bare_machine
    with pytest.raises(SetupError, match=r"Missing, by Debian's names: g\+\+\."):
        machine.install_missing_tools(python, steps, tmp_path)


@pytest.fixture
def environment(tmp_path):
    """An environment of wheels whose python is this one."""
    folder = tmp_path / "environment"
    _program(folder / "bin", "python", f'exec {sys.executable} "$@"')
    return Environment(folder, None, ROOT)


def test_paths_of_the_wheels_are_repaired_once(environment):
    import sysconfig

    import numpy

    file = environment.folder / "share" / "std_msgs" / "cmake" / "exportExport.cmake"
    file.parent.mkdir(parents=True)
    built = "/opt/python/cp311-cp311"
    text = (
        'INTERFACE_INCLUDE_DIRECTORIES "{prefix}/include/std_msgs;{python};{numpy}"\n'
        'INTERFACE_LINK_LIBRARIES "m;{python}"\n'
    )
    file.write_text(
        text.format(
            prefix="${_IMPORT_PREFIX}",
            python=f"{built}/include/python3.11",
            numpy=f"{built}/lib/python3.11/site-packages/numpy/_core/include",
        )
    )
    assert environment.repair_wheels() == 1
    expected = text.format(
        prefix="${_IMPORT_PREFIX}",
        python=sysconfig.get_paths()["include"],
        numpy=numpy.get_include(),
    )
    assert file.read_text() == expected
    assert environment.repair_wheels() == 0
    assert file.read_text() == expected

    # an earlier repair, for a NumPy that was replaced by another major version
    file.write_text(expected.replace("numpy/core/include", "numpy/_core/include"))
    environment.repair_wheels()
    assert file.read_text() == expected


def test_an_environment_is_complete_for_its_requirements_alone(environment, tmp_path):
    assert not environment.is_complete()
    stamp = environment.folder / "yolact_ros_requirements.json"
    stamp.write_text('{"requirements": "of an older checkout"}')
    assert not environment.is_complete()
    stamp.write_text("half a fi")
    assert not environment.is_complete()


def test_checkouts_wait_for_each_other(environment):
    def lock() -> None:
        with (environment.folder / "yolact_ros.lock").open("w") as other:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)

    with environment.locked(), pytest.raises(BlockingIOError):
        lock()
    lock()


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "checkout"
    (root / "yolact_ros").mkdir(parents=True)
    return root


def _colcon(environment) -> None:
    _program(environment.folder / "bin", "colcon", 'mkdir -p install; echo "colcon $*" >> calls')


def test_the_overlay_is_built_where_there_is_no_vision_msgs(environment, checkout, steps):
    _colcon(environment)
    Workspace(checkout, environment).build(steps)
    [call] = (checkout / "calls").read_text().splitlines()
    assert "--base-paths . overlay --cmake-args" in call
    assert f"-DCMAKE_PREFIX_PATH={environment.folder}" in call


def test_the_overlay_is_never_built_over_one_that_is_there(
    environment, checkout, steps, monkeypatch, tmp_path
):
    _colcon(environment)
    system = tmp_path / "opt" / "ros" / "share" / "vision_msgs"
    system.mkdir(parents=True)
    (system / "package.xml").touch()
    beside = Environment(environment.folder, "humble", ROOT)
    own = checkout / "install" / "vision_msgs"
    (own / "share" / "vision_msgs").mkdir(parents=True)
    (own / "share" / "vision_msgs" / "package.xml").touch()

    # the checkout's own overlay, sourced, does not count as one that is there
    monkeypatch.setenv("AMENT_PREFIX_PATH", str(own))
    Workspace(checkout, beside).build(steps)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{own}:{tmp_path / 'opt' / 'ros'}")
    Workspace(checkout, beside).build(steps)
    without, system_only = (checkout / "calls").read_text().splitlines()
    assert "--base-paths . overlay --cmake-args" in without
    assert "--base-paths . --cmake-args" in system_only
    assert not own.exists(), "what was built over a system's vision_msgs is taken away"


def test_a_build_is_kept_until_the_environment_changes(environment, checkout, steps, tmp_path):
    _colcon(environment)
    Workspace(checkout, environment).build(steps)
    kept = checkout / "install" / "kept"
    kept.touch()
    Workspace(checkout, environment).build(steps)
    assert kept.exists()
    other = Environment(tmp_path / "other", None, ROOT)
    _colcon(other)
    Workspace(checkout, other).build(steps)
    assert not kept.exists()


def test_deleted_modules_leave_the_installation(environment, checkout, steps):
    _colcon(environment)
    Workspace(checkout, environment).build(steps)
    installed = checkout / "install/yolact_ros/lib/python3.11/site-packages/yolact_ros"
    (installed / "msg").mkdir(parents=True)
    for name in ("old.py", "new.py", "msg/_mask.py", "yolact_ros_s__rosidl.so"):
        (installed / name).touch()
    (checkout / "yolact_ros" / "new.py").touch()
    Workspace(checkout, environment).build(steps)
    left = {str(file.relative_to(installed)) for file in installed.rglob("*") if file.is_file()}
    assert left == {"new.py", "msg/_mask.py", "yolact_ros_s__rosidl.so"}


def test_an_older_python_gets_one_line():
    """Its own syntax is old enough for such a Python to come to the line that says so."""
    import ast

    for file in (SETUP, *(ROOT / "scripts" / "bootstrap").glob("*.py")):
        ast.parse(file.read_text(), feature_version=(3, 8))
    ast.parse(SETUP.read_text().partition("import os")[0], feature_version=(3, 0))


def test_the_reason_of_a_failed_setup_is_the_last_thing_said(tmp_path):
    _program(tmp_path, "python3", "echo 'No module named rclpy' >&2; exit 1")
    variables = {**os.environ, "ROS_DISTRO": "jazzy", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    result = subprocess.run([sys.executable, SETUP], env=variables, capture_output=True, text=True)
    assert result.returncode == 1
    assert result.stderr.startswith("setup: ROS 2 jazzy is sourced, but")
    assert "Traceback" not in result.stderr
