# SPDX-License-Identifier: Apache-2.0
from pathlib import Path

import pytest

from yolact_ros.cli.main import main
from yolact_ros.cli.presets import presets_markdown
from yolact_ros.presets import get_preset, preset_names

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.slow
def test_the_readme_shows_the_table_as_it_is_counted_here():
    text = README.read_text(encoding="utf-8")
    table = text.split("<!-- presets -->")[1].split("<!-- /presets -->")[0].strip()
    assert table == presets_markdown([get_preset(name) for name in preset_names()])


@pytest.mark.slow
def test_other_backbones_get_a_row_of_their_own(capsys):
    assert main(["presets", "--backbone", "torchvision:mobilenet_v3_large"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last.startswith("| `yolact_base:mobilenet_v3_large` | mobilenet_v3_large | 550 |")
