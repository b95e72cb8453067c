# SPDX-License-Identifier: Apache-2.0
"""Parts of a data set: every image once, sizes as asked for, classes alike."""

import copy
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from yolact_ros.datasets.grouping import groups_by, join_equal_pictures
from yolact_ros.datasets.split import (
    missing_classes,
    split_content,
    split_groups,
    split_images,
)
from yolact_ros.errors import InputError

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


def test_few_places_show_as_many_classes_as_they_can() -> None:
    """One image in ten shows all five classes, or two show them together."""
    for seed in range(5):
        one = [{number % 5} for number in range(9)] + [set(range(5))]
        [chosen] = [i for i, part in enumerate(split_images(one, [9, 1], seed=seed)) if part]
        assert chosen == 9
        two = [{number % 6} for number in range(18)] + [{0, 1, 2}, {3, 4, 5}]
        parts = split_images(two, [18, 2], seed=seed)
        assert parts.count(1) == 2 and parts[18] == parts[19] == 1


def test_classes_that_a_part_lacks_are_named() -> None:
    content = content_of([{1}, {2}, {3}, {1}, {2}, {3}])
    parts = split_content(content, {"train": 5, "val": 1}, seed=0)
    [(name, lacking)] = missing_classes(parts).items()
    assert name == "val" and len(lacking) == 2 and set(lacking) < {"c1", "c2", "c3"}
    assert missing_classes(split_content(content, {"a": 1, "b": 1}, seed=0)) == {}


@settings(max_examples=12)
@given(
    sizes=st.lists(st.integers(1, 12), min_size=3, max_size=12),
    classes=st.lists(st.sets(st.integers(0, 3), max_size=3), min_size=12, max_size=12),
    shares=st.sampled_from([[0.8, 0.2], [1.0, 1.0], [0.7, 0.2, 0.1]]),
)
def test_groups_stay_whole_and_every_part_has_one(
    sizes: list[int], classes: list[set[int]], shares: list[float]
) -> None:
    groups = [str(number) for number, size in enumerate(sizes) for _ in range(size)]
    shown = [classes[int(group)] for group in groups]
    parts = split_groups(shown, groups, shares, seed=1)
    assert parts == split_groups(shown, groups, shares, seed=1)
    assert set(parts) == set(range(len(shares)))
    for group in set(groups):
        assert len({part for part, name in zip(parts, groups, strict=True) if name == group}) == 1


def test_groups_come_near_to_shares_and_classes() -> None:
    """Ten recordings of ten images, two of which show a rare class."""
    groups = [f"rec{index // 10}" for index in range(100)]
    classes = [{1, 2} if group in ("rec3", "rec8") else {1} for group in groups]
    for seed in range(5):
        parts = split_groups(classes, groups, [0.8, 0.2], seed=seed)
        assert parts.count(1) == 20
        rare = {
            part for part, group in zip(parts, groups, strict=True) if group in ("rec3", "rec8")
        }
        assert rare == {0, 1}
    uneven = ["a"] * 50 + ["b"] * 30 + ["c"] * 11 + ["d"] * 9
    parts = split_groups([{1}] * 100, uneven, [0.8, 0.2], seed=0)
    assert Counter(parts) == {0: 80, 1: 20}
    with pytest.raises(InputError, match="parts: expected 2 or more groups of images, got 1: a"):
        split_groups([{1}] * 3, ["a"] * 3, [1.0, 1.0], seed=0)


NAMES = {
    "hall_0001.png": "hall",
    "hall_frame_0002.png": "hall",
    "hall/000003.png": "hall",
    "hall/1699999999.123456.png": "hall",
    "hall/1699999999_123456789.jpg": "hall",
    "lab\\cam1\\7.jpg": "lab/cam1/.",
    "lab/rec_2-0010_rgb.png": "lab/rec_2",
    "2024-05-01-12-00-00_frame0001.jpg": "2024-05-01-12-00-00",
    "IMG_1234_jpg.rf.0a1b2c.jpg": ".",
    "cup_12_png.rf.0a1b2c.jpg": "cup",
    "cup.png": "cup",
}


@pytest.mark.parametrize("name", NAMES)
def test_recordings_are_told_from_file_names(name: str) -> None:
    expected = str(Path(NAMES[name]))
    assert str(Path(*groups_by([{"file_name": name}], "recording"))) == expected


def test_groups_by_folder_video_and_expression() -> None:
    images = [
        {"file_name": f"{place}/{day}_{n}.png"} for place in "ab" for day in "xy" for n in "12"
    ]
    assert groups_by(images, "folder") == ["a"] * 4 + ["b"] * 4
    assert groups_by(images, "/(.)_") == ["x", "x", "y", "y"] * 2
    assert groups_by(images, "[xy]_") == ["x_", "x_", "y_", "y_"] * 2
    assert groups_by(images, "^(.)/(.)")[:3] == ["a/x", "a/x", "a/y"]
    videos = [{"file_name": "1.png", "video_id": 4}, {"file_name": "2.png", "video_id": 5}]
    assert len(set(groups_by(videos, "recording"))) == 2
    with pytest.raises(
        InputError, match=r"--by: expected 'a/x' .* got none in a/y_1\.png, .* 3 more"
    ):
        groups_by(images, "a/x")


def test_pictures_of_the_same_bytes_are_one_group(tmp_path: Path) -> None:
    for name, text in (("1", "one"), ("2", "two"), ("3", "one"), ("4", "four"), ("5", "two")):
        (tmp_path / name).write_text(text)
    images = [{"file_name": name} for name in ("1", "2", "3", "4", "5", "lost")]
    groups, repeated = join_equal_pictures(images, ["a", "b", "b", "d", "e", "f"], tmp_path)
    assert repeated == 2
    assert len(set(groups)) == 3 and len({*groups[:3], groups[4]}) == 1
    with pytest.raises(InputError, match="--images: expected the file's images in nowhere, found"):
        join_equal_pictures(images, ["a"] * 6, Path("nowhere"))


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
