# SPDX-License-Identifier: Apache-2.0
import pickle
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from yolact_ros.datasets import records
from yolact_ros.datasets.coco import CocoDataset, CocoImage, CocoObject
from yolact_ros.datasets.records import Records, file_names, with_objects, write_records
from yolact_ros.datasets.segmentation import encode_mask

numbers = st.sampled_from((0.0, -0.5, 1 / 3, 639.99, 1e300))
ids = st.sampled_from((-(2**63), 0, 7, 2**63 - 1))
polygon = st.integers(3, 6).map(lambda points: np.linspace(-1 / 3, points, 2 * points))


@st.composite
def images(draw):
    """Images with any names and objects: polygons, run lengths and crowds."""
    height, width = draw(st.integers(1, 40)), draw(st.integers(1, 40))
    mask = np.arange(height * width).reshape(height, width) % draw(st.integers(2, 9)) == 0
    outlines = st.lists(polygon, min_size=1, max_size=3).map(tuple) | st.just(encode_mask(mask))
    objects = st.builds(
        CocoObject,
        id=ids,
        class_id=st.integers(0, 90),
        box=numbers.map(lambda side: (side, 1.5, side + 2, 3.25)),
        segmentation=outlines,
        crowd=st.booleans(),
        area=numbers,
    )
    things = tuple(draw(st.lists(objects, max_size=3)))
    name = draw(st.sampled_from(("a.png", "\u00e9/\u4e16 b.jpg", "\U0001f600")))
    return CocoImage(draw(ids), name, width, height, things)


def plain(image):
    """Of an image, what can be compared."""
    outlines = [
        thing.segmentation
        if isinstance(thing.segmentation, dict)
        else [part.tolist() for part in thing.segmentation]
        for thing in image.objects
    ]
    rest = [(t.id, t.class_id, t.box, t.crowd, t.area) for t in image.objects]
    return image.id, image.file_name, image.width, image.height, rest, outlines


@settings(max_examples=30)
@given(given_images=st.lists(images(), max_size=3), at_once=st.sampled_from((1, 5, 1 << 16)))
def test_what_is_written_is_read(tmp_path_factory, given_images, at_once):
    folder = tmp_path_factory.mktemp("columns")
    with patch.object(records, "_WRITTEN_AT_ONCE", at_once):
        write_records(given_images, folder)
    read = Records(folder)
    copy = pickle.loads(pickle.dumps(read))
    assert [*map(plain, read)] == [*map(plain, given_images)] == [*map(plain, copy)]
    assert list(read.names()) == [image.file_name for image in given_images]
    sets = [CocoDataset(Path(), Path(), (), (), each) for each in (read, tuple(given_images))]
    some, expected = map(with_objects, sets)
    again = pickle.loads(pickle.dumps(some))
    assert [*map(plain, again.images)] == [*map(plain, expected.images)]
    assert file_names(some) == file_names(expected)
    assert [*map(plain, with_objects(some).images)] == [*map(plain, expected.images)]
    assert [*map(plain, read[::2])] == [*map(plain, given_images[::2])]
    with pytest.raises(IndexError):
        read[len(given_images)]
    assert len(pickle.dumps(read)) < 300  # a worker gets the folder's name
