# SPDX-License-Identifier: Apache-2.0
"""Synthetic data sets: what is on disk is what was rendered."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.choices import SCENE_KINDS
from yolact_ros.datasets.coco import dataset_from_content, read_dataset
from yolact_ros.datasets.segmentation import decode_segmentation
from yolact_ros.errors import InputError
from yolact_ros.presets import DEMO_CLASSES
from yolact_ros.scenes.scene import SCENE_CLASSES, SCENE_MAKERS
from yolact_ros.scenes.synth_set import SynthSet, frame_annotations, render_scene


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_read_back_it_is_what_was_rendered(tmp_path: Path) -> None:
    wanted = SynthSet(images=3, seed=40, width=160, height=120)
    path = wanted.write(tmp_path / "out", workers=1, version="1.2")
    dataset = read_dataset(path, path.parent / "images")
    assert dataset.class_names == DEMO_CLASSES
    assert dataset.category_ids == tuple(range(1, len(DEMO_CLASSES) + 1))
    assert len(dataset) == 3
    for number, image in enumerate(dataset.images):
        frame = render_scene(40 + number, 160, 120)
        np.testing.assert_array_equal(dataset.read_image(image), frame.image)
        depth = cv2.imread(str(path.parent / "depth" / image.file_name), cv2.IMREAD_UNCHANGED)
        assert depth.dtype == np.uint16
        np.testing.assert_allclose(depth / 1000, frame.depth, atol=0.00051)
        np.testing.assert_array_equal(depth == 0, frame.depth < 0.0005)
        assert len(image.objects) == len(frame.objects) > 0
        for index, (thing, truth) in enumerate(zip(image.objects, frame.objects, strict=True), 1):
            mask = decode_segmentation(thing.segmentation, 120, 160)
            np.testing.assert_array_equal(mask, frame.instance_map == index)
            assert dataset.class_names[thing.class_id] == truth.class_name
            assert thing.box == tuple(truth.box)
            assert thing.area == truth.area
    content = json.loads(path.read_text())
    assert content["info"]["seed"] == 40
    assert content["info"]["version"] == "1.2"
    assert content["images"][2]["seed"] == 42
    assert content["images"][0]["camera"]["fx"] == render_scene(40, 160, 120).intrinsics.fx
    ids = [annotation["id"] for annotation in content["annotations"]]
    assert ids == list(range(1, len(ids) + 1))


@pytest.mark.slow
@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    class_names=st.lists(st.sampled_from(SCENE_CLASSES), min_size=1, unique=True).map(tuple),
)
def test_masks_are_the_instance_map_of_any_scene(seed: int, class_names: tuple[str, ...]) -> None:
    frame = render_scene(seed, 96, 80, class_names)
    content = {
        "images": [{"id": 4, "file_name": "x.png", "width": 96, "height": 80}],
        "annotations": json.loads(json.dumps(frame_annotations(frame, 4, 7))),
        "categories": [{"id": i, "name": name} for i, name in enumerate(class_names, 1)],
    }
    [image] = dataset_from_content(content, Path("a.json"), Path("images")).images
    joined = np.zeros((80, 96), np.uint16)
    for number, thing in enumerate(image.objects, start=1):
        joined[decode_segmentation(thing.segmentation, 80, 96) == 1] = number
        assert frame.objects[number - 1].class_name == class_names[thing.class_id]
    np.testing.assert_array_equal(joined, frame.instance_map)


@pytest.mark.slow
def test_the_same_set_gives_the_same_bytes_with_any_number_of_workers(tmp_path: Path) -> None:
    wanted = SynthSet(images=5, seed=3, width=96, height=64, class_names=("mushroom", "ball"))
    wanted.write(tmp_path / "one", workers=1, version="1")
    wanted.write(tmp_path / "two", workers=2, version="1")
    first = files_of(tmp_path / "one")
    assert first == files_of(tmp_path / "two")
    assert sorted(first) == sorted(
        ["annotations.json"]
        + [f"{part}/{number:06d}.png" for part in ("images", "depth") for number in range(1, 6)]
    )
    other = SynthSet(images=5, seed=4, width=96, height=64, class_names=("mushroom", "ball"))
    other.write(tmp_path / "other", workers=1, version="1")
    # The second scene of the first set is the first of the other.
    assert files_of(tmp_path / "other")["images/000001.png"] == first["images/000002.png"]
    assert files_of(tmp_path / "other")["images/000002.png"] != first["images/000002.png"]


def test_wrong_requests_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"images: expected 1 or more, got 0"):
        SynthSet(images=0, seed=0)
    with pytest.raises(ValueError, match=r"depth_camera: expected one of ideal, .*, got 'lidar'"):
        SynthSet(images=1, seed=0, depth_camera="lidar")
    wanted = SynthSet(images=1, seed=0, width=32, height=32)
    with pytest.raises(ValueError, match=r"workers: expected 1 or more, got 0"):
        wanted.write(tmp_path / "new", workers=0, version="1")
    with pytest.raises(ValueError, match=r"classes: expected some of ball, .*, mushroom, none "):
        SynthSet(images=1, seed=0, class_names=("ball", "slab")).write(
            tmp_path / "new", workers=1, version="1"
        )
    assert not (tmp_path / "new").exists()
    (tmp_path / "mine.txt").touch()
    for taken, what in ((tmp_path, "one with files"), (tmp_path / "mine.txt", "a file")):
        with pytest.raises(ValueError, match=f": expected an empty folder or none, got {what}"):
            wanted.write(taken, workers=1, version="1")
    assert files_of(tmp_path) == {"mine.txt": b""}


def test_lanes_are_scenes_of_another_kind(tmp_path: Path) -> None:
    wanted = SynthSet(images=2, seed=20_000, width=160, height=120, kind="lanes")
    path = wanted.write(tmp_path / "out", workers=1, version="1")
    for number, image in enumerate(read_dataset(path, path.parent / "images").images):
        frame = render_scene(20_000 + number, 160, 120, kind="lanes")
        np.testing.assert_array_equal(cv2.imread(str(path.parent / "images" / image.file_name)),
                                      frame.image[:, :, ::-1])  # fmt: skip
        assert not np.array_equal(frame.image, render_scene(20_000 + number, 160, 120).image)
    assert tuple(SCENE_MAKERS) == SCENE_KINDS
    with pytest.raises(InputError, match="kind: expected one of random, lanes, got 'rows'"):
        SynthSet(images=1, seed=0, kind="rows")
