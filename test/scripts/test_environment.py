# SPDX-License-Identifier: Apache-2.0
"""`. scripts/environment.bash` makes a shell use what was built, and keeps its options."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from yolact_ros.ros.fastdds_profile import read_variable

ROOT = Path(__file__).parents[2]


@pytest.fixture
def source():
    """Sources it in a shell with some variables, and gives the shell's variables afterwards."""
    environment = os.environ.get("VIRTUAL_ENV")
    if environment is None or not (ROOT / "install" / "setup.bash").exists():
        pytest.skip("this checkout was not built by scripts/setup")

    def run(**variables: str) -> dict[str, str]:
        script = (
            "set -euo pipefail; shopt -uo posix; before=$(set +o)\n"
            f". '{ROOT}/scripts/environment.bash'\n"
            '[ "$before" = "$(set +o)" ] || { echo "options changed" >&2; exit 1; }\n'
            "env -0"
        )
        clean = {"PATH": os.defpath, "YOLACT_ROS_VENV": environment, **variables}
        result = subprocess.run(["bash", "-c", script], env=clean, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        return dict(entry.split("=", 1) for entry in result.stdout.split("\0") if entry)

    return run


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, ".venv"),
        ({"YOLACT_ROS_DISTRO": "jazzy"}, ".venv"),
        ({"YOLACT_ROS_DISTRO": "kilted"}, ".venv-kilted"),
    ],
)
def test_each_distribution_has_its_environment(tmp_path, variables, expected):
    for file, text in (
        ("scripts/environment.bash", (ROOT / "scripts" / "environment.bash").read_text()),
        (f"{expected}/bin/activate", f"VIRTUAL_ENV={tmp_path}/{expected}"),
        ("install/setup.bash", ""),
    ):
        (tmp_path / file).parent.mkdir(parents=True)
        (tmp_path / file).write_text(text)
    script = f". '{tmp_path}/scripts/environment.bash'; echo $VIRTUAL_ENV"
    clean = {"PATH": os.defpath, **variables}
    found = subprocess.check_output(["bash", "-euc", script], env=clean, text=True)
    assert found == f"{tmp_path}/{expected}\n"


def test_the_built_package_is_found(source):
    variables = source()
    assert str(ROOT / "install" / "yolact_ros") in variables["AMENT_PREFIX_PATH"].split(":")
    assert f"{ROOT}/install/yolact_ros/" in variables["PYTHONPATH"]


def test_the_command_is_found_by_its_name(source):
    program = shutil.which("yolact-ros", path=source()["PATH"])
    assert program == str(ROOT / "install" / "yolact_ros" / "bin" / "yolact-ros")


def test_ros_keeps_to_this_machine(source):
    assert source()["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert source(ROS_DISTRO="humble")["ROS_LOCALHOST_ONLY"] == "1"


def test_images_reach_other_processes_unless_the_user_has_a_profile(source):
    names = ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE")
    ours = str(ROOT / "config" / "fastdds.xml")
    for distribution, expected in (
        ("humble", [ours, None]),
        ("jazzy", [ours, None]),
        ("kilted", [None, ours]),
        ("lyrical", [None, ours]),
    ):
        variables = source(ROS_DISTRO=distribution)
        assert [variables.get(name) for name in names] == expected
    # of wheels, which do not say what they are
    variables = source()
    assert [name for name in names if name in variables] == [read_variable()]
    assert variables[read_variable()] == ours
    for mine in names:
        variables = source(**{mine: "/somewhere/profile.xml"})
        expected = ["/somewhere/profile.xml" if name == mine else None for name in names]
        assert [variables.get(name) for name in names] == expected
