# SPDX-License-Identifier: Apache-2.0
"""A real browser without a window."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

MISSING = "no Chromium to test the page with: scripts/setup --browser installs it"


@contextmanager
def chromium() -> Iterator[Any]:
    """The system's Chromium, headless, driven by playwright; without one the test is skipped."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip(MISSING)
    sync_api = pytest.importorskip("playwright.sync_api", reason=MISSING)
    # as root it refuses to start within its sandbox
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        try:
            yield browser
        finally:
            browser.close()
