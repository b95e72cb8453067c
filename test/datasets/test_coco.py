# SPDX-License-Identifier: Apache-2.0
"""Data sets in COCO's format: what is read is what was written."""

import json
import pickle
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as coco_mask

from yolact_ros.datasets.coco import dataset_from_content
from yolact_ros.datasets.segmentation import counts_of, decode_segmentation, encode_mask

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=40))


def plain_runs(mask: np.ndarray) -> list[int]:
    """Run lengths down the columns, counted one pixel at a time."""
    counts, value = [0], False
    for pixel in mask.T.reshape(-1):
        if pixel != value:
            counts.append(0)
            value = not value
        counts[-1] += 1
    return counts


@given(mask=MASKS)
def test_run_lengths_of_either_kind_decode_to_the_mask(mask: np.ndarray) -> None:
    compressed = json.loads(json.dumps(encode_mask(mask)))
    counted = {"size": list(mask.shape), "counts": plain_runs(mask)}
    for runs in (compressed, counted):
        np.testing.assert_array_equal(decode_segmentation(runs, *mask.shape), mask)


@given(mask=MASKS)
def test_compressed_counts_are_the_runs(mask: np.ndarray) -> None:
    assert counts_of(encode_mask(mask)["counts"]).tolist() == plain_runs(mask)


@pytest.mark.slow
def test_long_runs_are_read() -> None:
    mask = np.zeros((2000, 2000), bool)  # runs of more than 2^19 pixels take five characters
    mask[7, 3] = mask[1600:, 1000] = mask[:, 1999] = True
    assert counts_of(encode_mask(mask)["counts"]).tolist() == plain_runs_of_columns(mask)


def plain_runs_of_columns(mask: np.ndarray) -> list[int]:
    changes = np.flatnonzero(np.diff(mask.T.reshape(-1).astype(np.int8), prepend=0))
    return np.diff(changes, prepend=0, append=mask.size).tolist()


@given(text=st.text(st.characters(min_codepoint=40, max_codepoint=130), max_size=30))
def test_any_string_gives_runs_or_a_word(text: str) -> None:
    try:
        counts = counts_of(text)
    except ValueError as error:
        assert str(error).startswith("expected ")
    else:
        assert len(counts) <= len(text)
        if (counts >= 0).all() and len(counts) and 0 < counts.sum() < 2**24:
            runs = {"size": [int(counts.sum()), 1], "counts": counts.tolist()}
            again = coco_mask.frPyObjects(runs, *runs["size"])["counts"].decode()
            np.testing.assert_array_equal(counts_of(again), counts)


@given(
    left=st.integers(0, 15), top=st.integers(0, 15),
    width=st.integers(1, 16), height=st.integers(1, 12),
)  # fmt: skip
def test_rectangles_as_polygons_decode_to_their_pixels(
    left: int, top: int, width: int, height: int
) -> None:
    right, bottom = left + width, top + height
    polygon = [left, top, right, top, right, bottom, left, bottom]
    expected = np.zeros((32, 40), bool)
    expected[top:bottom, left:right] = True
    np.testing.assert_array_equal(decode_segmentation([polygon], 32, 40), expected)
    np.testing.assert_array_equal(decode_segmentation([np.array(polygon)], 32, 40), expected)
    halves = [
        [left, top, right, top, right, bottom],
        [left, top, right, bottom, left, bottom],
    ]
    joined = decode_segmentation(halves, 32, 40)
    assert joined.max() == 1
    assert joined.sum() >= 0.9 * expected.sum()


def content_of(segmentations: list[Any], **fields: Any) -> dict[str, Any]:
    return {
        "images": [
            {"id": 9, "file_name": "x.png", "width": 40, "height": 32},
            {"id": 2, "file_name": "y.png", "width": 10, "height": 12},
        ],
        "categories": [{"id": 44, "name": "late"}, {"id": 3, "name": "early"}],
        "annotations": [
            {"id": 100 - i, "image_id": 9, "category_id": (44, 3)[i % 2], "segmentation": s}
            | fields
            for i, s in enumerate(segmentations)
        ],
    }


def test_classes_go_by_category_id_and_objects_by_the_file() -> None:
    square = [[4, 4, 12, 4, 12, 12, 4, 12]]
    dataset = dataset_from_content(content_of([square, square]), Path("a.json"), Path("images"))
    assert dataset.class_names == ("early", "late")
    assert dataset.category_ids == (3, 44)
    first, second = dataset.images
    assert (first.id, first.file_name, first.width, first.height) == (9, "x.png", 40, 32)
    assert [(thing.id, thing.class_id) for thing in first.objects] == [(100, 1), (99, 0)]
    assert second.objects == ()


def test_a_missing_box_and_area_come_from_the_mask() -> None:
    mask = np.zeros((32, 40), bool)
    mask[5:8, 30:37] = True
    halves = [[4, 4, 12, 4, 12, 12, 4, 12], [20, 1.5, 24, 1.5, 24, 30]]
    segmentations = [encode_mask(mask), halves, {"size": [32, 40], "counts": plain_runs(mask)}]
    dataset = dataset_from_content(content_of(segmentations), Path("a.json"), Path("images"))
    runs, polygons, counted = dataset.images[0].objects
    assert runs.box == counted.box == (30, 5, 37, 8)
    assert runs.area == counted.area == 21
    assert polygons.box == (4, 1.5, 24, 30)
    assert polygons.area == decode_segmentation(halves, 32, 40).sum()
    assert runs.segmentation == counted.segmentation
    given_fields = content_of([halves], bbox=[1, 2, 3, 4], area=5.5, iscrowd=1)
    [thing] = dataset_from_content(given_fields, Path("a.json"), Path("images")).images[0].objects
    assert (thing.box, thing.area, thing.crowd) == ((1, 2, 4, 6), 5.5, True)


def test_the_content_makes_the_same_data_set_and_survives_json_and_pickle() -> None:
    mask = np.zeros((32, 40), bool)
    mask[5:8, 30:37] = True
    content = content_of([[[4, 4, 12.5, 4, 12, 12]], encode_mask(mask)], iscrowd=1)
    dataset = dataset_from_content(content, Path("a.json"), Path("images"))
    first = json.dumps(dataset.content)
    again = dataset_from_content(json.loads(first), Path("a.json"), Path("images"))
    assert json.dumps(again.content) == first
    assert json.dumps(pickle.loads(pickle.dumps(dataset)).content) == first
    assert dataset.content["annotations"][0]["segmentation"] == [[4, 4, 12.5, 4, 12, 12]]
    assert dataset.content["annotations"][1]["bbox"] == [30, 5, 7, 3]


def test_images_are_read_as_rgb(tmp_path: Path) -> None:
    pixels = np.zeros((32, 40, 3), np.uint8)
    pixels[:, :, 0] = 200
    dataset = dataset_from_content(content_of([]), tmp_path / "a.json", tmp_path)
    cv2.imwrite(str(tmp_path / "x.png"), pixels[:, :, ::-1])
    np.testing.assert_array_equal(dataset.read_image(dataset.images[0]), pixels)
    with pytest.raises(ValueError, match=r"expected an image file, got no file .*y\.png"):
        dataset.read_image(dataset.images[1])
    cv2.imwrite(str(tmp_path / "y.png"), pixels)
    with pytest.raises(ValueError, match=r"y\.png: expected 10x12 pixels as in .*, got 40x32"):
        dataset.read_image(dataset.images[1])
