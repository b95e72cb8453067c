# SPDX-License-Identifier: Apache-2.0
from collections.abc import Callable

import pytest

from yolact_ros.cli.main import main


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """Runs a command that ends with an error; gives its exit status and the only line it prints."""

    def run(*words: object) -> tuple[int, str]:
        capfd.readouterr()
        try:
            status: object = main([str(word) for word in words])
        except SystemExit as ending:  # argparse's way
            status = ending.code
        captured = capfd.readouterr()
        [line] = captured.err.splitlines()
        assert not captured.out
        assert line.startswith("yolact-ros")
        assert isinstance(status, int) and status
        return status, line

    return run
