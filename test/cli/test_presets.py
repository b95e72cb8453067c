# SPDX-License-Identifier: Apache-2.0
import subprocess
import sys
from pathlib import Path

import pytest

GUIDE = Path(__file__).parents[2] / "docs" / "presets.md"
COMMAND = [sys.executable, "-m", "yolact_ros.cli.main", "presets"]


@pytest.mark.slow
def test_the_guide_shows_the_table_and_other_backbones_get_a_row_of_their_own(tmp_path):
    """In a process of its own, to which no other test has brought torchvision's operators."""
    text = GUIDE.read_text(encoding="utf-8")
    table = text.split("<!-- presets -->")[1].split("<!-- /presets -->")[0].strip()
    words = ["--backbone", "torchvision:mobilenet_v3_large"]
    result = subprocess.run([*COMMAND, *words], cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    *lines, last = result.stdout.splitlines()
    assert "\n".join(lines) == table
    assert last.startswith("| `yolact_base:mobilenet_v3_large` | mobilenet_v3_large | 550 |")
