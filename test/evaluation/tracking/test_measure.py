# SPDX-License-Identifier: Apache-2.0
"""Figures of tracks whose faults are known."""

import numpy as np
import pytest

from yolact_ros.evaluation.tracking.bytetrack import ByteTrack
from yolact_ros.evaluation.tracking.film import TRUE, Detected, Shot, Thing, film, true_instances
from yolact_ros.evaluation.tracking.measure import Run, track
from yolact_ros.scenes import Scene
from yolact_ros.structures import Instances, Objects, PackedMask
from yolact_ros.tracking import Tracker


def shot(number, *things):
    """A frame with things (identity, x, share that is seen), each detected as it is."""
    boxes = np.array([(x, 10, x + 40, 60) for _, x, _ in things], np.float32).reshape(-1, 4)
    instances = Instances(
        image_size=(100, 400),
        boxes=boxes,
        scores=np.ones(len(things), np.float32),
        class_ids=np.zeros(len(things), np.int64),
        class_names=("mug",) * len(things),
        packed_masks=tuple(
            PackedMask.from_array(np.ones((50, 40), np.bool_), x, 10) for _, x, _ in things
        ),
    )
    return Shot(
        stamp=number / 15,
        things=tuple(
            Thing(identity, 0, box, share, np.zeros(3), True, 0.0)
            for (identity, _, share), box in zip(things, boxes, strict=True)
        ),
        detected={TRUE: Detected(instances, Objects.none())},
        thumbnail=np.zeros((24, 32), np.float32),
    )


@pytest.mark.parametrize("make", [Tracker, ByteTrack])
def test_a_switch_is_counted_and_lowers_idf1(make):
    run = Run()
    # after ten of thirty images it is somewhere else: no tracker can know that it is the same
    shots = [shot(number, (1, 20 if number < 10 else 300, 1.0)) for number in range(30)]
    track(run, shots, TRUE, make())
    figures = run.figures()
    assert figures["object_minutes"] == pytest.approx(30 / 15 / 60)
    assert figures["switches_per_minute"] == pytest.approx(30)
    assert figures["idf1"] == pytest.approx(2 / 3, abs=0.04)
    assert figures["detection_f1"] == pytest.approx(1, abs=0.04)


def test_what_is_hardly_seen_does_not_count():
    run = Run()
    shots = [shot(number, (1, 20, 1.0), (2, 200, 0.4)) for number in range(10)]
    track(run, shots, TRUE, Tracker())
    figures = run.figures()
    assert figures["idf1"] == figures["detection_f1"] == 1
    assert figures["object_minutes"] == pytest.approx(10 / 15 / 60)


class _Blind:
    """A network that finds what there is, as it is told."""

    class_names = ("mug",)

    def __call__(self, images, channel_order="bgr"):
        return [
            Instances((120, 160), np.zeros((0, 4), np.float32), np.zeros(0, np.float32),
                      np.zeros(0, np.int64), (), ()) for _ in images
        ]  # fmt: skip


def test_a_film_has_the_truth_of_its_scene():
    scene = Scene.lanes(10_900, width=160, height=120)
    shots = list(film(scene, _Blind(), frames=3))
    frame = scene.frame(2 / 15)
    assert [one.stamp for one in shots] == [0, 1 / 15, 2 / 15]
    assert [one.identity for one in shots[2].things] == [one.identity for one in frame.objects]
    found = shots[2].detected[TRUE].instances
    assert len(found) == len(true_instances(frame)) > 2
    assert all(len(shots[2].detected[TRUE].objects.centres) > 2 for _ in found)
    assert {thing.resting for thing in shots[2].things} == {True, False}
