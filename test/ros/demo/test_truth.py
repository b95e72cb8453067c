# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from std_msgs.msg import Header
from yolact_ros.msg import Instance, InstanceArray, Object, ObjectArray

from yolact_ros.masks import full_mask, instance_map
from yolact_ros.recordings import fields
from yolact_ros.ros.conversion.filling import fill
from yolact_ros.ros.demo.truth import camera_info, true_objects, truth_message
from yolact_ros.ros.demo.truth_score import TruthScore
from yolact_ros.scenes.scene import Scene
from yolact_ros.structures import PackedMask


def instance(class_id, rows, columns, score=1.0):
    mask = np.zeros((100, 100), bool)
    mask[rows, columns] = True
    values = fields.instance(class_id, "", score, 1.0, [0.0] * 4, PackedMask.from_array(mask))
    return fill(Instance(), values)


def array_of(*instances):
    return InstanceArray(image_height=100, image_width=100, instances=list(instances))


def test_truth_message_has_the_scene_s_masks():
    frame = Scene.random(2_000_007, width=320, height=240).frame(0.0)
    message = truth_message(frame, Header(frame_id="c"))
    assert len(message.instances) == len(frame.objects) > 0
    scores = [item.score for item in message.instances]
    assert scores == sorted(scores, reverse=True)
    by_fraction = sorted(frame.objects, key=lambda item: item.visible_fraction, reverse=True)
    for item, truth in zip(message.instances, by_fraction, strict=True):
        number = frame.objects.index(truth) + 1
        pixels = frame.instance_map == number
        np.testing.assert_array_equal(full_mask(item.mask, 240, 320), pixels)
        assert (item.class_id, item.class_name) == (truth.class_id, truth.class_name)
    np.testing.assert_array_equal(instance_map(message) > 0, frame.instance_map > 0)


def test_true_objects_are_those_of_the_truth_in_its_order():
    frame = Scene.random(2_000_007, width=320, height=240).frame(0.0)
    instances = truth_message(frame, Header()).instances
    message = true_objects(frame, Header(frame_id="c"))
    assert message.header.frame_id == "c" and len(message.objects) == len(instances)
    points = frame.intrinsics.back_project(frame.true_depth)
    for k, item in enumerate(message.objects, start=1):
        one = instances[item.instance - 1]
        assert item.instance == k and (item.class_id, item.score) == (one.class_id, one.score)
        low, high = np.percentile(points[full_mask(one.mask, 240, 320)], [2, 98], axis=0)
        place, size = item.pose.pose.position, item.size
        np.testing.assert_allclose((place.x, place.y, place.z), (low + high) / 2, atol=1e-6)
        np.testing.assert_allclose((size.x, size.y, size.z), high - low, atol=1e-6)


def box(instance, place, size):
    item = Object(instance=instance)
    position = item.pose.pose.position
    position.x, position.y, position.z = place
    item.size.x, item.size.y, item.size.z = size
    return item


def test_boxes_are_scored_where_masks_match():
    truth = array_of(
        instance(0, slice(0, 20), slice(0, 20)),
        instance(1, slice(50, 90), slice(0, 40)),
        instance(2, slice(0, 40), slice(50, 90)),  # not found
    )
    result = array_of(
        instance(1, slice(50, 90), slice(0, 40)),
        instance(0, slice(0, 20), slice(0, 20)),  # without an object
    )
    true = ObjectArray(objects=[box(k, (0.0, 0.0, 1.0), (0.1, 0.2, 0.1)) for k in (1, 2, 3)])
    measured = ObjectArray(objects=[box(1, (0.003, 0.0, 1.004), (0.1, 0.19, 0.14))])
    score = TruthScore()
    score.add(result, truth, measured, true)
    score.add(result, truth, measured, None)  # an image without true boxes
    score.add(result, truth, None, true)  # a result that was overtaken by the next
    assert (score.frames_boxed, score.frames_in_space) == (2, 1)
    assert score.found == 6 and score.in_space == 2 and score.measured == 0.5
    assert score.centre_errors == [pytest.approx(0.005)]
    assert score.size_errors == [pytest.approx(0.04 / 0.2)]


def test_camera_info_is_the_pinhole():
    frame = Scene.random(2_000_000, width=64, height=48).frame(0.0)
    info = camera_info(frame.intrinsics, Header())
    np.testing.assert_allclose(np.reshape(info.k, (3, 3)), frame.intrinsics.matrix)
    np.testing.assert_allclose(np.reshape(info.p, (3, 4))[:, :3], frame.intrinsics.matrix)
    assert (info.width, info.height) == (64, 48)


def test_score_by_hand():
    truth = array_of(
        instance(0, slice(0, 20), slice(0, 20)),  # 400 pixels: asked for
        instance(1, slice(50, 90), slice(0, 40)),  # found with another class
        instance(2, slice(0, 40), slice(50, 90), score=0.4),  # hidden: not asked for
        instance(2, slice(60, 75), slice(60, 75)),  # 225 pixels: not asked for
    )
    result = array_of(
        instance(0, slice(0, 20), slice(5, 20)),  # IoU 300 / 400
        instance(0, slice(0, 20), slice(0, 12)),  # IoU 240 / 400, but the object is taken
        instance(3, slice(50, 90), slice(0, 40)),
        instance(2, slice(0, 40), slice(50, 90)),
    )
    score = TruthScore()
    score.add(result, truth)
    assert (score.frames, score.objects, score.found, score.found_any_class) == (1, 2, 1, 2)
    assert (score.instances, score.instances_matched) == (4, 2)
    assert score.recall == 0.5 and score.recall_any_class == 1.0 and score.precision == 0.5
    assert score.mean_iou == pytest.approx(0.75)


def test_nothing_found_and_nothing_there():
    score = TruthScore()
    score.add(array_of(), array_of(instance(0, slice(0, 30), slice(0, 30))))
    score.add(array_of(instance(0, slice(0, 30), slice(0, 30))), array_of())
    assert (score.objects, score.found, score.instances, score.instances_matched) == (1, 0, 1, 0)
    assert score.recall == score.precision == score.mean_iou == 0.0
