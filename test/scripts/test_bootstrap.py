# SPDX-License-Identifier: Apache-2.0
"""What scripts/setup decides, on made-up machines: folders, programs in PATH and variables."""

import fcntl
import io
import os
import re
import select
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[2]
SETUP = ROOT / "scripts" / "setup"
sys.path.insert(0, str(ROOT / "scripts"))

from bootstrap import lock, machine  # noqa: E402
from bootstrap.environment import Environment, with_ros  # noqa: E402
from bootstrap.steps import PackagesMissing, SetupError, Steps  # noqa: E402
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


@pytest.mark.parametrize(
    ("wanted", "sourced", "expected"),
    [
        (None, None, "jazzy"),
        ("", None, "jazzy"),
        ("jazzy", None, "jazzy"),
        ("kilted", None, "kilted"),
        ("humble", None, "expected jazzy or kilted, of which there are wheels, got 'humble'"),
        (None, "humble", "jazzy"),
        ("humble", "humble", "humble"),
        ("kilted", "humble", "asks for kilted, but ROS 2 humble is sourced"),
    ],
)
def test_one_variable_says_which_ros_is_taken(monkeypatch, wanted, sourced, expected):
    monkeypatch.delenv("YOLACT_ROS_DISTRO", raising=False)
    if wanted is not None:
        monkeypatch.setenv("YOLACT_ROS_DISTRO", wanted)
    if expected in ("jazzy", "kilted", "humble"):
        assert machine.distribution_of_the_wheels(sourced) == expected
    else:
        with pytest.raises(SetupError, match=expected):
            machine.distribution_of_the_wheels(sourced)


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
    machine.install_missing_tools(python, steps, tmp_path, agreed=False)
    log = steps.log.read_text()
    assert log.count("apt-get install -y --no-install-recommends g++\n") == 2
    machine.install_missing_tools(python, steps, tmp_path, agreed=False)
    assert steps.log.read_text() == log


def test_a_browser_is_installed_on_request_alone(monkeypatch, bare_machine, steps, tmp_path):
    folder, python = bare_machine
    _program(folder, "g++", "")
    browser = folder / "chromium"
    _program(folder, "apt-get", f'touch "{browser}" && chmod 755 "{browser}"')
    monkeypatch.setattr(machine.os, "geteuid", lambda: 0)
    machine.install_missing_tools(python, steps, tmp_path, agreed=False)
    assert not browser.exists()
    for _ in range(2):
        machine.install_missing_tools(python, steps, tmp_path, agreed=False, browser=True)
    assert steps.log.read_text().count("install -y --no-install-recommends chromium\n") == 1


def test_a_user_without_rights_is_told_what_to_install(monkeypatch, bare_machine, steps, tmp_path):
    folder, python = bare_machine
    _program(folder, "apt-get", "exit 1")
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    with pytest.raises(PackagesMissing, match=r"As root run\n    apt-get install g\+\+\n"):
        machine.install_missing_tools(python, steps, tmp_path, agreed=True)


def test_a_machine_without_apt_is_told_what_to_install(bare_machine, steps, tmp_path):
    _, python = bare_machine
    with pytest.raises(PackagesMissing, match=r"Missing, by Debian's names: g\+\+\."):
        machine.install_missing_tools(python, steps, tmp_path, agreed=True)


def _apt_get(folder: Path) -> None:
    """It knows the size of what it would download, and brings a g++."""
    uris = "'http://deb.example/g.deb' g.deb 40000000 SHA256:0"
    _program(
        folder,
        "apt-get",
        f'case "$*" in *--print-uris*) echo "{uris}"; exit;; esac\n'
        f'touch "{folder}/g++" && chmod 755 "{folder}/g++"',
    )


@pytest.fixture
def terminal(monkeypatch):
    """Somebody at a terminal: gives the file that they type into and read from."""
    ours, theirs = os.openpty()
    streams = SimpleNamespace(stdin=os.fdopen(theirs), stderr=os.fdopen(os.dup(theirs), "w"))
    monkeypatch.setattr(machine, "sys", streams)
    yield ours
    for stream in (streams.stdin, streams.stderr):
        stream.close()
    os.close(ours)


@pytest.mark.parametrize(("typed", "installed"), [(b"y\n", True), (b"\n", False), (b"n\n", False)])
@pytest.mark.parametrize("user", [0, 1000])
def test_whoever_sits_at_a_terminal_is_asked(
    monkeypatch, bare_machine, steps, tmp_path, terminal, typed, installed, user
):
    folder, python = bare_machine
    _apt_get(folder)
    _program(folder, "sudo", '[ "$1" != -n ] || shift; exec "$@"')
    _program(folder, "true", "")
    monkeypatch.setattr(machine.os, "geteuid", lambda: user)
    os.write(terminal, typed)
    line = "sudo apt-get install g++" if user else "apt-get install g++"
    if installed:
        machine.install_missing_tools(python, steps, tmp_path, agreed=False)
    else:
        with pytest.raises(PackagesMissing, match=rf"Run\n    {re.escape(line)}\nand.*--yes"):
            machine.install_missing_tools(python, steps, tmp_path, agreed=False)
    asked = ""
    while "[y/N]" not in asked and select.select([terminal], [], [], 5)[0]:
        asked += os.read(terminal, 4096).decode()
    assert f"needs g++ of the system (40 MB to download, 1 packages). Run `{line}`? [y/N]" in asked
    assert (folder / "g++").exists() == installed


def test_without_a_terminal_others_than_root_have_to_say_yes(
    monkeypatch, bare_machine, steps, tmp_path
):
    folder, python = bare_machine
    _apt_get(folder)
    _program(folder, "sudo", 'test -e "$0.open" || exit 1; [ "$1" != -n ] || shift; exec "$@"')
    _program(folder, "true", "")
    monkeypatch.setattr(machine.os, "geteuid", lambda: 1000)
    nobody = SimpleNamespace(stdin=io.StringIO("y\n"), stderr=sys.stderr)
    monkeypatch.setattr(machine, "sys", nobody)

    def install(agreed):
        machine.install_missing_tools(python, steps, tmp_path, agreed=agreed)

    with pytest.raises(PackagesMissing, match=r"Run\n    sudo apt-get install g\+\+\nand.*--yes"):
        install(agreed=False)
    with pytest.raises(PackagesMissing, match="sudo asks for a password"):
        install(agreed=True)
    assert not (folder / "g++").exists()
    (folder / "sudo.open").touch()
    install(agreed=True)
    assert (folder / "g++").exists()


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


def test_beside_a_ros_its_numpy_and_opencv_stay(tmp_path):
    """Humble's NumPy is older than some need; a later one of its major version fits cv_bridge."""
    _program(tmp_path / "bin", "python", """echo '{"numpy": "1.21.5", "cv2": "4.5.4"}'""")
    lines = Environment(tmp_path, "humble", ROOT)._pip_arguments()
    assert "numpy>=1.21.5,<2" in lines
    assert not [line for line in lines if line.startswith(("opencv", "ros-"))]


def test_checkouts_wait_for_each_other(tmp_path):
    environment = Environment(tmp_path / "environment", None, ROOT)

    def take() -> None:
        with (environment.folder / "yolact_ros.lock").open("w") as other:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)

    with environment.locked(), pytest.raises(BlockingIOError):
        take()
    take()
    (environment.folder / "pyvenv.cfg").touch()
    with environment.locked():
        pass


def test_an_environment_of_others_is_left_alone(environment):
    before = sorted(environment.folder.rglob("*"))
    with pytest.raises(SetupError, match=r"not made by this script.*YOLACT_ROS_VENV=FOLDER"):
        environment.locked().__enter__()
    assert sorted(environment.folder.rglob("*")) == before


def test_pip_installs_nowhere_else(environment, monkeypatch):
    monkeypatch.setenv("PIP_TARGET", "/somewhere")
    monkeypatch.setenv("PIP_USER", "1")
    variables = environment.variables
    assert "PIP_TARGET" not in variables and variables["PIP_USER"] == "0"


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
    Workspace(checkout, environment).build(steps)
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
    _, without, system_only = (checkout / "calls").read_text().splitlines()
    assert "--base-paths . overlay --cmake-args" in without
    assert "--base-paths . --cmake-args" in system_only
    assert not own.exists(), "what was built over a system's vision_msgs is taken away"


def test_a_build_is_kept_until_the_environment_changes(environment, checkout, steps, tmp_path):
    _colcon(environment)
    Workspace(checkout, environment).build(steps)
    built = checkout / "install" / "yolact_ros" / "built"
    of_others = checkout / "build" / "listener" / "CMakeCache.txt"
    for file in (built, of_others):
        file.parent.mkdir(parents=True)
        file.touch()
    Workspace(checkout, environment).build(steps)
    assert built.exists()
    other = Environment(tmp_path / "other", None, ROOT)
    _colcon(other)
    Workspace(checkout, other).build(steps)
    assert not built.exists()
    assert of_others.exists(), "what is not ours stays"


def test_a_build_of_others_is_left_alone(environment, checkout, steps):
    _colcon(environment)
    theirs = checkout / "install" / "yolact_ros" / "setup.bash"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    with pytest.raises(SetupError, match="install/yolact_ros was not made by this script"):
        Workspace(checkout, environment).build(steps)
    assert theirs.exists() and not (checkout / "calls").exists()


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


@pytest.mark.skipif(machine.platform.machine() != "x86_64", reason="ROS 2 wheels: x86_64 alone")
def test_setup_asks_before_it_changes_the_machine_and_leaves_what_others_made(
    bare_machine, tmp_path, monkeypatch
):
    """The script itself, in a checkout whose .venv somebody else made."""
    folder, _ = bare_machine
    monkeypatch.undo()
    scripts = tmp_path / "checkout" / "scripts"
    shutil.copytree(ROOT / "scripts", scripts, ignore=shutil.ignore_patterns("__pycache__"))
    theirs = tmp_path / "checkout" / ".venv" / "bin" / "python"
    theirs.parent.mkdir(parents=True)
    theirs.touch()
    _apt_get(folder)
    _program(folder, "bash", f'exec {shutil.which("bash")} "$@"')
    _program(folder, "dirname", f'exec {shutil.which("dirname")} "$@"')
    _program(folder, "python3", f'exec {sys.executable} "$@"')
    # a user without rights, whoever runs this
    user = scripts / "sitecustomize.py"
    user.write_text("import os\nos.geteuid = lambda: 1000\n")
    variables = {"PATH": str(folder), "PYTHONPATH": str(scripts), "HOME": str(tmp_path)}

    def run(name, *arguments):
        return subprocess.run(
            [scripts / name, *arguments],
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )

    missing = run("demo", "--cameras", "3")
    assert missing.returncode == 3
    assert "As root run\n    apt-get install g++\nand then this again" in missing.stderr
    user.write_text("import os\nos.geteuid = lambda: 0\n")
    refused = run("test", "--yes")
    assert refused.returncode == 1
    assert (folder / "g++").exists()
    assert ".venv was not made by this script" in refused.stderr
    assert list(theirs.parent.parent.rglob("*")) == [theirs.parent, theirs]


REPORT = {
    "install": [
        {
            "download_info": {
                "url": f"https://index.example/{name}",
                "archive_info": {"hashes": {"sha256": digest * 64}},
            },
            "metadata": {"name": package, "version": "1.5"},
        }
        for package, name, digest in (
            ("torch", "torch-1.5-cp312-cp312-manylinux_2_28_x86_64.whl", "a"),
            (
                "Pillow",
                "pillow-1.5-cp312-cp312-manylinux_2_39_x86_64.manylinux2014_x86_64.whl",
                "b",
            ),
            ("six", "six-1.5-py2.py3-none-any.whl", "c"),
            ("ros-rclpy", "ros_rclpy-1.5-cp312-cp312-manylinux_2_28_x86_64.whl", "d"),
        )
    ]
}
OTHER = {
    "install": [
        *REPORT["install"][:3],
        {
            "download_info": {
                "url": "https://index.example/ros_rclpy-2.0-cp312-cp312-manylinux_2_30_x86_64.whl",
                "archive_info": {"hashes": {"sha256": "e" * 64}},
            },
            "metadata": {"name": "ros-rclpy", "version": "2.0"},
        },
    ]
}


@pytest.fixture
def locked(tmp_path):
    """A checkout with lists for this interpreter."""
    python = machine.describe_python(sys.executable)
    reports = {"jazzy": REPORT, "kilted": OTHER}
    files = [each for report in reports.values() for each in report["install"]]
    sizes = {each["download_info"]["url"]: 10**9 for each in files}
    shared, own = lock.lock_texts(reports, sizes, python.name)
    (tmp_path / "requirements" / "lock").mkdir(parents=True)
    for distribution, text in own.items():
        of_all, of_this = lock.lock_files(tmp_path, python, distribution)
        of_all.write_text(shared)
        of_this.write_text(text)
    return tmp_path, python


def test_a_list_has_nothing_that_the_first_release_of_its_python_cannot_have():
    needs = {"a": ">=3.11.5", "b": ">=3.11", "c": None, "d": "<3.12,>=3.8", "e": "!=3.11.0,>=3.9"}
    report = {
        "install": [
            {
                "metadata": {"name": name, "version": "1.5"}
                | ({"requires_python": text} if text else {})
            }
            for name, text in needs.items()
        ]
    }
    assert lock.too_new(report, "3.11") == ["a<1.5", "e<1.5"]
    assert lock.too_new(report, "3.10") == ["a<1.5", "b<1.5"]


def test_a_list_of_tried_files_fits_a_machine_or_is_not_used(locked, monkeypatch):
    root, python = locked
    for version, fits in (("2.30", True), ("2.39", True), ("2.29", False)):
        monkeypatch.setattr(lock.platform, "libc_ver", lambda version=version: ("glibc", version))
        found = lock.find_lock(root, python, "jazzy")
        assert (found is not None) == fits
    monkeypatch.setattr(lock.platform, "libc_ver", lambda: ("", ""))
    assert lock.find_lock(root, python, "jazzy") is None
    monkeypatch.undo()
    assert lock.find_lock(root, python, "rolling") is None
    other = machine.Python("python3.9", (3, 9, 1), Path(), "/usr", True)
    assert lock.find_lock(root, other, "jazzy") is None


@pytest.mark.parametrize(
    ("distribution", "rclpy"),
    [("jazzy", f"1.5 --hash=sha256:{'d' * 64}"), ("kilted", f"2.0 --hash=sha256:{'e' * 64}")],
)
def test_tried_files_are_installed_by_their_hashes(
    locked, environment, steps, capsys, distribution, rclpy
):
    root, python = locked
    found = lock.find_lock(root, python, distribution)
    of_all, of_this = found.files
    assert of_this.read_text() == f"ros-rclpy=={rclpy}\n"
    assert of_all.read_text().splitlines()[1:] == [
        f"Pillow==1.5 --hash=sha256:{'b' * 64}",
        f"six==1.5 --hash=sha256:{'c' * 64}",
        f"torch==1.5 --hash=sha256:{'a' * 64}",
    ]
    (environment.folder / "pyvenv.cfg").touch()
    pip = 'case "$*" in *"-m pip"*) exit 1;; esac; exec'
    _program(environment.folder / "bin", "python", f'{pip} {sys.executable} "$@"')
    with pytest.raises(SetupError, match=r"scripts/setup --unlocked") as failure:
        environment.fill(python, steps, found)
    assert f"{of_all} and {of_this} name versions" in str(failure.value)
    assert f"--require-hashes -r {of_all} -r {of_this}\n" in steps.log.read_text()
    assert "4.0 GB to download" in capsys.readouterr().out


def test_two_distributions_never_share_an_environment(locked, environment, steps):
    _, python = locked
    (environment.folder / "pyvenv.cfg").touch()
    kilted = Environment(environment.folder, None, ROOT, "kilted")
    packages = environment.folder / "lib" / "python3.11" / "site-packages"
    (packages / "ros_jazzy_rclpy-7.1.6.dist-info").mkdir(parents=True)
    with pytest.raises(SetupError, match=r"holds a ROS 2 jazzy, and kilted is asked for"):
        kilted.fill(python, steps, None)


@pytest.mark.parametrize("distribution", machine.DISTRIBUTIONS_OF_THE_WHEELS)
@pytest.mark.parametrize("version", machine.PYTHONS_OF_THE_WHEELS)
def test_the_lists_have_what_the_requirements_say(version, distribution):
    from packaging.requirements import Requirement
    from packaging.utils import canonicalize_name

    name = ".".join(map(str, version))
    python = machine.Python("python", (*version, 0), Path(), "/usr", True)
    files = lock.lock_files(ROOT, python, distribution)
    lines = [line for file in files for line in file.read_text().splitlines()]
    assert lock._HEADER.match(lines[0])
    pinned = dict(
        re.fullmatch(r"(\S+)==(\S+) --hash=sha256:[0-9a-f]{64}", line).groups()
        for line in lines[1:]
    )
    pinned = {canonicalize_name(package): number for package, number in pinned.items()}
    machine_of_the_lists = {"python_version": name, "python_full_version": f"{name}.0"}
    for file in with_ros(distribution):
        for line in (ROOT / "requirements" / file).read_text().splitlines():
            if not line.strip() or line.startswith("#"):
                continue
            wanted = Requirement(line)
            if wanted.marker is None or wanted.marker.evaluate(machine_of_the_lists):
                number = pinned.get(canonicalize_name(wanted.name), "no version")
                fits = number[0].isdigit() and wanted.specifier.contains(number, prereleases=True)
                assert fits, f"{file}: {line}, the list has {number}: write it anew (scripts/lock)"


@pytest.mark.parametrize("name", ["demo", "test"])
def test_yes_goes_to_setup_and_all_else_to_the_command(name, tmp_path):
    scripts = tmp_path / "scripts"
    shutil.copytree(ROOT / "scripts", scripts, ignore=shutil.ignore_patterns("__pycache__"))
    _program(scripts, "setup", 'echo "setup $*"')
    (scripts / "environment.bash").write_text(f"PATH={tmp_path}/bin:$PATH\n")
    _program(tmp_path / "bin", "python", 'shift; for word; do echo "[$word]"; done')
    words = [scripts / name, "--output", "a picture.png", "--yes"]
    lines = subprocess.check_output(words, text=True).splitlines()
    assert lines[0] == "setup --yes"
    assert lines[-2:] == ["[--output]", "[a picture.png]"]
    assert subprocess.check_output([scripts / name], text=True).startswith("setup \n")
