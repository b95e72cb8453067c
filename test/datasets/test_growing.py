# SPDX-License-Identifier: Apache-2.0
"""JSON files that grow in place: valid after each step, whatever fails, and in flat memory."""

import json
import random
import tracemalloc

import pytest

from yolact_ros.datasets.growing import GrowingJson

TWO = ('{"info": {"by": "x"}, "images": ', ', "annotations": ', "}")


def content(file):
    return json.loads(file.path.read_text())


def test_two_lists_hold_all_that_was_added(tmp_path, monkeypatch):
    monkeypatch.setattr("yolact_ros.datasets.growing._ROOM", 60)  # used up soon
    file = GrowingJson(tmp_path / "a.json", TWO)
    choose = random.Random(0)
    images, annotations = [], []
    for step in range(100):
        some, more = (
            [{"step": step, "text": "ü" * choose.randrange(40)}] * choose.randrange(3)
            for _ in range(2)
        )
        file.add(some, more)
        images += some
        annotations += more
        assert content(file) == {
            "info": {"by": "x"}, "images": images, "annotations": annotations,
        }  # fmt: skip
    file.close()
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("pieces", [("", ""), TWO])
def test_what_does_not_fit_on_the_disk_leaves_the_file_as_it_was(
    tmp_path, files_end_at, monkeypatch, pieces
):
    monkeypatch.setattr("yolact_ros.datasets.growing._ROOM", 100)
    lists = len(pieces) - 1
    file = GrowingJson(tmp_path / "a.json", pieces)
    files_end_at(2000)
    added = 0
    with pytest.raises(OSError, match=r"File too large: '.*a\.json"):
        while added < 100:
            file.add(*[[{"number": added, "text": "x" * 50}]] * lists)
            added += 1
    assert 5 < added < 50
    got = content(file)
    found = [got] if lists == 1 else [got["images"], got["annotations"]]
    for items in found:
        assert [item["number"] for item in items] == list(range(added))
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_memory_is_flat(tmp_path):
    file = GrowingJson(tmp_path / "a.json", TWO)
    tracemalloc.start()
    for number in range(1000):
        file.add([{"id": number}], [{"id": number, "segmentation": "x" * 1000}])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    file.close()
    assert file.path.stat().st_size > 1_000_000
    assert peak < 200_000
