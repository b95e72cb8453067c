# SPDX-License-Identifier: Apache-2.0
"""The vision_msgs that is used is the same on the wire as version 4.1.1."""

import json
import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent
HASHES = json.loads((HERE / "vision_msgs_type_hashes.json").read_text())
SHARED = HERE.parents[2] / "shared" / "vision_msgs_type_hashes.json"


def _built(message: str) -> dict:
    prefixes = os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
    for prefix in prefixes:
        file = Path(prefix) / "share" / "vision_msgs" / "msg" / f"{message}.json"
        if file.exists():
            return json.loads(file.read_text())
    pytest.skip("no vision_msgs with type hashes in AMENT_PREFIX_PATH (Humble has none)")


@pytest.mark.parametrize("name", sorted(HASHES))
def test_type_hash(name):
    built = _built(name.rpartition("/")[2])
    found = {entry["type_name"]: entry["hash_string"] for entry in built["type_hashes"]}
    assert found[name] == HASHES[name]


def test_every_message_of_the_overlay_is_compared():
    files = (HERE.parents[1] / "overlay" / "vision_msgs" / "msg").glob("*.msg")
    assert sorted(f"vision_msgs/msg/{file.stem}" for file in files) == sorted(HASHES)


@pytest.mark.skipif(not SHARED.exists(), reason="no reference hashes beside this checkout")
def test_the_hashes_are_the_reference():
    assert json.loads(SHARED.read_text()) == HASHES
