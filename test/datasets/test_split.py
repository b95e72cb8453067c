# SPDX-License-Identifier: Apache-2.0
"""Parts of a data set: every image once, sizes as asked for, classes alike."""

import copy
import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from yolact_ros.datasets.split import split_content, split_images

IMAGES = st.lists(st.sets(st.integers(1, 6), max_size=4), min_size=4, max_size=60)
SHARES = st.lists(st.floats(0.05, 20), min_size=2, max_size=4)


@pytest.mark.slow
@given(classes=IMAGES, shares=SHARES, seed=st.integers(0, 99))
def test_sizes_are_as_asked_for_and_every_part_has_an_image(
    classes: list[set[int]], shares: list[float], seed: int
) -> None:
    parts = split_images(classes, shares, seed=seed)
    assert len(parts) == len(classes)
    sizes = [parts.count(part) for part in range(len(shares))]
    assert sum(sizes) == len(classes)
    for size, share in zip(sizes, shares, strict=True):
        exact = len(classes) * share / sum(shares)
        # Others that are raised to one image take theirs from the rest.
        assert size == 1 or exact - len(shares) < size < exact + 1
        assert size >= 1
    assert parts == split_images(classes, shares, seed=seed)


# Of 6 images, the first three classes took two each.
@example(counts=[8, 8, 8, 8], share=0.2, seed=0)
@given(
    counts=st.lists(st.integers(6, 40), min_size=1, max_size=5),
    share=st.sampled_from([0.5, 0.2, 0.35]),
    seed=st.integers(0, 99),
)
def test_classes_of_their_own_images_are_spread_alike(
    counts: list[int], share: float, seed: int
) -> None:
    classes = [{number} for number, count in enumerate(counts) for _ in range(count)]
    parts = split_images(classes, [1 - share, share], seed=seed)
    shown = Counter(
        each for present, part in zip(classes, parts, strict=True) if part for each in present
    )
    for number, count in enumerate(counts):
        assert abs(shown[number] - share * count) <= 1 + len(counts) / 2
        assert 1 <= shown[number] < count


def test_a_rare_class_is_in_every_part() -> None:
    classes = [{1}] * 96 + [{1, 2}, {2, 3}, {1, 3}, {1, 4}]
    for seed in range(10):
        parts = split_images(classes, [0.8, 0.1, 0.1], seed=seed)
        assert [parts.count(part) for part in range(3)] == [80, 10, 10]
        both = split_images(classes, [0.9, 0.1], seed=seed)
        for rare in (2, 3):
            assert {both[i] for i, present in enumerate(classes) if rare in present} == {0, 1}


def test_a_random_division_would_not_do() -> None:
    # One image in twenty shows the class: a tenth of the images has none of it in every third case.
    classes = [{1, 2} if index % 20 == 0 else {1} for index in range(200)]
    for seed in range(20):
        parts = split_images(classes, [0.9, 0.1], seed=seed)
        assert sum(parts[index] == 1 for index in range(0, 200, 20)) == 1


def test_the_seed_decides() -> None:
    classes = [{1}] * 50
    assert split_images(classes, [1, 1], seed=0) != split_images(classes, [1, 1], seed=1)


def test_shares_are_relative() -> None:
    classes = [{index % 3} for index in range(30)]
    assert split_images(classes, [8, 2], seed=3) == split_images(classes, [0.8, 0.2], seed=3)


def content_of(classes: list[set[int]]) -> dict[str, Any]:
    return {
        "info": {"year": 2020},
        "licenses": [{"id": 1}],
        "images": [
            {"id": 100 - i, "file_name": f"{i}.png", "width": 9, "height": 9, "license": 1}
            for i in range(len(classes))
        ],
        "categories": [{"id": i, "name": f"c{i}", "supercategory": "x"} for i in range(1, 7)],
        "annotations": [
            {"id": 10 * i + each, "image_id": 100 - i, "category_id": each, "extra": [i]}
            for i, present in enumerate(classes)
            for each in present
        ],
    }


@pytest.mark.slow
@given(classes=IMAGES, seed=st.integers(0, 9))
def test_parts_together_are_the_whole_with_all_fields(classes: list[set[int]], seed: int) -> None:
    content = content_of(classes)
    before = copy.deepcopy(content)
    parts = split_content(content, {"train": 0.7, "val": 0.2, "test": 0.1}, seed=seed)
    assert content == before
    assert list(parts) == ["train", "val", "test"]
    for key in ("images", "annotations"):
        joined = [entry for part in parts.values() for entry in part[key]]
        assert sorted(map(json.dumps, joined)) == sorted(map(json.dumps, content[key]))
    for part in parts.values():
        assert part["info"] == content["info"]
        assert part["licenses"] == content["licenses"]
        assert part["categories"] == content["categories"]
        ids = [image["id"] for image in part["images"]]
        assert ids == sorted(ids, reverse=True)
        assert {annotation["image_id"] for annotation in part["annotations"]} <= set(ids)


@pytest.mark.parametrize(
    ("count", "shares", "seed", "message"),
    [
        (5, [1.0], 0, r"parts: expected two or more, got 1"),
        (5, [1.0, 0.0], 0, r"parts: expected shares above 0, got 1\.0, 0\.0"),
        (5, [1.0, float("inf")], 0, r"parts: expected shares above 0, got 1\.0, inf"),
        (1, [1.0, 1.0], 0, r"parts: expected 2 or more images, got 1"),
        (5, [1.0, 1.0], -1, r"seed: expected an integer >= 0, got -1"),
    ],
)
def test_wrong_wishes_are_named(count: int, shares: list[float], seed: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        split_images([{1}] * count, shares, seed=seed)
