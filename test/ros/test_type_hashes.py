# SPDX-License-Identifier: Apache-2.0
"""Recordings of earlier versions are read: their messages are the same on the wire."""

import json
import os
from pathlib import Path

import pytest

SINCE_0_1_0 = {
    "Mask": "RIHS01_e4e25426d4996f4547f145a2df731ccc097df28e9f728a4bbbc2c0951129b0ab",
    "Instance": "RIHS01_0919961c9ff982e356e50457165acefc412bd2fa8331e8a0ea1e85c5e313c0e6",
    "InstanceArray": "RIHS01_d3805c08a84ccffd246fa5108e3343ea8e70b0b8c06255c6510232be95528795",
}
SINCE_0_2_0 = {
    "Segment": "RIHS01_8bc13929c243e615796f067cfc648c08583d75930f68b8c366ec79c7fdfc0601",
}
EXPECTED = {f"msg/{name}": value for name, value in SINCE_0_1_0.items()} | {
    f"srv/{name}": value for name, value in SINCE_0_2_0.items()
}


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_messages_keep_their_type_hashes(name):
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        file = Path(prefix) / "share" / "yolact_ros" / f"{name}.json"
        if file.exists():
            break
    else:
        pytest.skip("no yolact_ros with type hashes in AMENT_PREFIX_PATH (Humble has none)")
    hashes = {
        entry["type_name"]: entry["hash_string"]
        for entry in json.loads(file.read_text())["type_hashes"]
    }
    assert hashes[f"yolact_ros/{name}"] == EXPECTED[name]
