# SPDX-License-Identifier: Apache-2.0
"""Counts of a data set, by hand."""

from pathlib import Path

from yolact_ros.datasets.choose import choose_images
from yolact_ros.datasets.coco import CocoDataset, CocoImage, CocoObject
from yolact_ros.datasets.statistics import ClassStatistics, statistics_of


def thing(number: int, class_id: int, side: float, *, crowd: bool = False) -> CocoObject:
    return CocoObject(
        id=number, class_id=class_id, box=(0, 0, side, side), segmentation=((0, 0, 1, 0, 1, 1),),
        crowd=crowd, area=side * side,
    )  # fmt: skip


def dataset_of(*images: tuple[CocoObject, ...], classes: int = 3) -> CocoDataset:
    return CocoDataset(
        annotation_file=Path("a.json"),
        image_folder=Path("images"),
        class_names=tuple(f"c{i}" for i in range(classes)),
        category_ids=tuple(range(1, classes + 1)),
        images=tuple(
            CocoImage(i, f"{i}.png", 640 if i else 320, 480, objects)
            for i, objects in enumerate(images)
        ),
    )


def test_objects_are_counted_by_class_and_size() -> None:
    statistics = statistics_of(
        dataset_of(
            (thing(1, 0, 31), thing(2, 0, 32), thing(3, 1, 300, crowd=True)),
            (thing(4, 0, 96), thing(5, 1, 95)),
            (),
        )
    )
    assert statistics.classes == (
        ClassStatistics("c0", 3, 2, small=1, medium=1, large=1, median_side=32, crowds=0),
        ClassStatistics("c1", 1, 2, small=0, medium=1, large=0, median_side=95, crowds=1),
        ClassStatistics("c2", 0, 0, small=0, medium=0, large=0, median_side=0, crowds=0),
    )
    assert (statistics.images, statistics.objects, statistics.crowds) == (3, 4, 1)
    assert list(statistics.image_sizes.items()) == [((640, 480), 2), ((320, 480), 1)]
    assert statistics.objects_per_image == {0: 1, 2: 2}


def test_chosen_images_show_every_class() -> None:
    common = (thing(1, 0, 9),)
    images = [common] * 50
    images[17] = (thing(2, 1, 9),)
    images[22] = (thing(6, 3, 9),)
    images[31] = (thing(3, 2, 9), thing(4, 3, 9))
    images[40] = images[41] = (thing(5, 2, 9),)
    dataset = dataset_of(*images, classes=5)
    chosen = [image.id for image in choose_images(dataset, 6)]
    assert {17, 31} <= set(chosen)
    assert not {22, 40, 41} & set(chosen)  # what they show is shown already
    assert len(chosen) == 6
    assert chosen == sorted(chosen)
    assert chosen[-1] > 35  # spread over the file
    assert len(choose_images(dataset, 2)) == 2
    assert len(choose_images(dataset, 99)) == 50
    assert choose_images(dataset_of(), 4) == []
