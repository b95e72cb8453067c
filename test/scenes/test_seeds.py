# SPDX-License-Identifier: Apache-2.0
"""Every scene has one use, and the guides keep to it."""

import re
from itertools import combinations
from pathlib import Path

from yolact_ros.scenes.seeds import SEEDS

ROOT = Path(__file__).parents[2]
COMMAND = re.compile(r"dataset synth (\S+) --images (\d+) --seed (\d+)")
USES = {
    "train": "training",
    "lanes": "lanes in training",
    "new": "fine-tuning",
    "val": "validation",
    "unseen": "figures",
    "pictures": "demo",
}
"""The use of the scenes in a folder of the guides."""


def test_no_scene_has_two_uses():
    for (one, first), (two, second) in combinations(SEEDS.items(), 2):
        assert first.stop <= second.start or second.stop <= first.start, f"{one} and {two}"


def test_the_guides_render_scenes_of_the_use_that_they_name():
    checked = set()
    for guide in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for folder, images, seed in COMMAND.findall(guide.read_text()):
            use = USES[Path(folder).name]
            assert int(seed) in SEEDS[use], f"{guide.name}: {folder}"
            assert int(seed) + int(images) - 1 in SEEDS[use], f"{guide.name}: {folder}"
            checked.add(use)
    assert checked == set(USES.values())
