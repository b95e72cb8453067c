# SPDX-License-Identifier: Apache-2.0
"""How `yolact-ros` ends: exit statuses, errors in one line, and their tracebacks."""

import pytest

from yolact_ros.cli import presets
from yolact_ros.cli.main import main
from yolact_ros.errors import InputError


@pytest.fixture
def raising(monkeypatch):
    """Makes `yolact-ros presets` raise."""

    def replace(error):
        def run(arguments):
            raise error

        monkeypatch.setattr(presets, "run", run)
        monkeypatch.delenv("YOLACT_ROS_TRACEBACK", raising=False)

    return replace


OUR_FAULT = (
    "yolact-ros: ValueError: shapes differ: (2,) and (3,); this is a bug, please report it with "
    "the traceback that the option --traceback or YOLACT_ROS_TRACEBACK=1 shows\n"
)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (InputError("weights: expected a file"), "yolact-ros: weights: expected a file\n"),
        (
            FileNotFoundError(2, "No such file or directory", "labels.json"),
            "yolact-ros: [Errno 2] No such file or directory: 'labels.json'\n",
        ),
        (OSError(28, "disk full"), "yolact-ros: [Errno 28] disk full\n"),
        (ValueError("shapes differ:\n  (2,)\n  and (3,)"), OUR_FAULT),
    ],
)
def test_an_error_is_one_line(raising, capsys, error, line):
    raising(error)
    assert main(["presets"]) == 1
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("error", [OSError("no more devices"), KeyError("network"), MemoryError()])
def test_an_error_that_neither_user_nor_system_explains_is_ours(raising, capsys, error):
    raising(error)
    assert main(["presets"]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"yolact-ros: {type(error).__name__}: ") and "--traceback" in line


@pytest.mark.parametrize("words", [["--traceback", "presets"], ["presets", "--traceback"]])
def test_the_option_shows_the_traceback(raising, capsys, words):
    raising(ValueError("shapes differ"))
    assert main(words) == 1
    error = capsys.readouterr().err
    assert error.startswith("Traceback (most recent call last):\n")
    assert "in run\n    raise error" in error


def test_the_environment_shows_the_traceback(raising, capsys, monkeypatch):
    raising(InputError("weights: expected a file"))
    monkeypatch.setenv("YOLACT_ROS_TRACEBACK", "1")
    assert main(["presets"]) == 1
    assert "raise error" in capsys.readouterr().err
    monkeypatch.setenv("YOLACT_ROS_TRACEBACK", "0")
    assert main(["presets"]) == 1
    assert "raise error" not in capsys.readouterr().err


def test_ctrl_c(raising, capsys):
    raising(KeyboardInterrupt())
    assert main(["presets"]) == 130
    assert capsys.readouterr().err == ""


def test_wrong_usage(refused):
    assert refused() == (
        2, "yolact-ros: the following arguments are required: COMMAND; see yolact-ros --help"
    )  # fmt: skip
    assert refused("presets", "--backbones")[0] == 2
