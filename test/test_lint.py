# SPDX-License-Identifier: Apache-2.0
"""ruff, mypy and bash find nothing; every source file names its licence."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("yolact_ros", "scripts", "launch", "test", "setup.py")


def _run(*command: str) -> None:
    # of this checkout's sources, not of what is built of them: mypy would find each module twice
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    result = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert result.returncode == 0, f"\n{result.stdout}{result.stderr}"


def test_ruff_finds_nothing():
    _run(sys.executable, "-m", "ruff", "check", "--no-cache", ".")


def test_files_are_formatted():
    _run(sys.executable, "-m", "ruff", "format", "--no-cache", "--diff", ".")


def test_types_fit():
    _run(sys.executable, "-m", "mypy")


@pytest.mark.parametrize("script", ["demo", "test", "environment.bash", "../.ci/run"])
def test_shell_scripts_parse(script):
    _run("bash", "-n", str(ROOT / "scripts" / script))


def _source_files() -> list[Path]:
    suffixes = {".py", ".cpp", ".hpp", ".bash"}
    folders = [ROOT / name for name in (*SOURCES, "examples", "include")]
    files = [file for folder in folders for file in (folder, *folder.rglob("*"))]
    programs = [
        ROOT / "scripts" / name
        for name in ("setup", "demo", "test", "lock", "release_notes", "compare_ap")
    ]
    return [file for file in files if file.suffix in suffixes] + programs


def test_every_source_file_names_its_licence():
    files = _source_files()
    assert len(files) > 30
    missing = [
        str(file.relative_to(ROOT))
        for file in files
        if "SPDX-License-Identifier: Apache-2.0" not in file.read_text()[:100]
    ]
    assert not missing
