# SPDX-License-Identifier: Apache-2.0
"""Label images for scene graphs, and the mask of one object for estimators of poses."""

import numpy as np
import pytest
from std_msgs.msg import Header
from yolact_ros.msg import InstanceArray

from yolact_ros.ros.conversion.instances import instance_array
from yolact_testing.examples import load_example
from yolact_testing.instances import instances_of

labelling = load_example("label_image.py")
masking = load_example("object_mask.py")


@pytest.fixture
def message():
    """A mug in front of a can, which another track is of; a ball without one."""
    masks = np.zeros((3, 4, 6), bool)
    masks[0, 1:3, 0:3] = masks[1, 1:3, 2:5] = masks[2, 0, 5] = True
    names = ("mug", "can", "ball")
    found = instances_of(masks, class_ids=[4, 2, 0], class_names=names)
    return instance_array(found, Header(frame_id="camera"), np.array([70_000, 3, 0]))


def test_labels_are_tracks_or_classes_and_0_is_nothing(message):
    tracks = labelling.label_image(message, "tracks")
    assert tracks.dtype == np.int32
    assert tracks.tolist() == [
        [0] * 6,
        [70_000, 70_000, 70_000, 3, 3, 0],
        [70_000, 70_000, 70_000, 3, 3, 0],
        [0] * 6,
    ]
    classes = labelling.label_image(message, "classes")
    assert classes[1].tolist() == [5, 5, 5, 3, 3, 0] and classes[0, 5] == 1
    empty = InstanceArray(image_height=2, image_width=3)
    assert labelling.label_image(empty, "tracks").tolist() == [[0] * 3] * 2
    message.instances[0].mask.width = 60_000
    with pytest.raises(ValueError):
        labelling.label_image(message, "tracks")


def test_one_object_is_followed(message):
    best = masking.chosen(message, "", 0)
    assert best.class_name == "mug"
    assert masking.chosen(message, "can", 0).track_id == 3
    assert masking.chosen(message, "mug", 3).class_name == "can"  # whatever it is taken for now
    assert masking.chosen(message, "can", 4) is None
    assert masking.chosen(message, "cone", 0) is None
