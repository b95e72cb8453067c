# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from yolact_ros.cli.main import main

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.slow
def test_the_readme_shows_the_table_and_other_backbones_get_a_row_of_their_own(capsys):
    text = README.read_text(encoding="utf-8")
    table = text.split("<!-- presets -->")[1].split("<!-- /presets -->")[0].strip()
    assert main(["presets", "--backbone", "torchvision:mobilenet_v3_large"]) == 0
    *lines, last = capsys.readouterr().out.splitlines()
    assert "\n".join(lines) == table
    assert last.startswith("| `yolact_base:mobilenet_v3_large` | mobilenet_v3_large | 550 |")
