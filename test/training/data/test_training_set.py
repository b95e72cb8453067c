# SPDX-License-Identifier: Apache-2.0
import dataclasses
import pickle
from unittest import mock

import cv2
import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pycocotools import mask as coco_mask
from torch.utils.data import DataLoader

from yolact_ros.datasets.coco import dataset_from_content
from yolact_ros.inference.preprocess import Preprocessor
from yolact_ros.presets import Normalization
from yolact_ros.training.data import transforms
from yolact_ros.training.data.augmentation import Augmentation, augmentation_named
from yolact_ros.training.data.training_set import TrainingSet, collate
from yolact_testing.comparing import assert_same
from yolact_testing.loaders import prepare_worker_that_imported_little
from yolact_testing.pictures import noise

NONE = augmentation_named("none")
COLOURLESS = dict.fromkeys(("brightness", "exposure", "contrast", "saturation", "hue", "tint"), 0.0)


def polygon_of(x1, y1, x2, y2):
    return [[float(value) for value in (x1, y1, x2, y1, x2, y2, x1, y2)]]


def runs_of(mask, *, compressed=True):
    if compressed:
        runs = coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))
        return {"size": list(mask.shape), "counts": runs["counts"].decode()}
    flat = np.concatenate([[0], mask.T.ravel().astype(int), [2]])
    edges = np.concatenate([[0], np.flatnonzero(np.diff(flat[:-1])), [mask.size]])
    return {"size": list(mask.shape), "counts": np.diff(edges).tolist()}


def thing(box, *, class_id=0, crowd=False, segmentation=None):
    return {"box": box, "class": class_id, "crowd": crowd, "segmentation": segmentation}


def write_dataset(folder, pictures):
    """A data set of (image, things); outlines are polygons about the boxes if not given."""
    content = {"images": [], "annotations": [], "categories": []}
    content["categories"] = [{"id": 10 * i + 10, "name": f"class{i}"} for i in range(5)]
    folder.mkdir(parents=True, exist_ok=True)
    for number, (image, things) in enumerate(pictures, 1):
        name = f"{number}.png"
        assert cv2.imwrite(str(folder / name), image[..., ::-1])
        height, width = image.shape[:2]
        content["images"].append(
            {"id": number, "file_name": name, "width": width, "height": height}
        )
        for each in things:
            x1, y1, x2, y2 = map(float, each["box"])
            content["annotations"].append(
                {
                    "id": len(content["annotations"]) + 1,
                    "image_id": number,
                    "category_id": 10 * each["class"] + 10,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": max(0, (x2 - x1) * (y2 - y1)),
                    "iscrowd": int(each["crowd"]),
                    "segmentation": each["segmentation"] or polygon_of(x1, y1, x2, y2),
                }
            )
    return dataset_from_content(content, folder / "annotations.json", folder)


def training_set(dataset, augmentation=NONE, *, size=32, seed=0, length=None, **options):
    return TrainingSet(
        dataset, input_size=size, augmentation=augmentation, seed=seed, length=length, **options
    )


def painted(seed, height, width):
    """Black with up to two objects and a crowd, each in a colour channel of its own."""
    rng = np.random.default_rng(seed)
    owner = np.zeros((height, width), np.uint8)
    for number in (1, 2, 3)[: rng.integers(1, 4)]:
        y, x = rng.integers(0, height - 6), rng.integers(0, width - 6)
        rows = slice(y, y + rng.integers(6, height // 2 + 4))
        columns = slice(x, x + rng.integers(6, width // 2 + 4))
        owner[rows, columns] = number
    image = np.zeros((height, width, 3), np.uint8)
    things = []
    for channel in range(3):
        mask = owner == channel + 1
        image[mask, channel] = 255
        if mask.any():
            x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
            things.append(
                thing(
                    (x, y, x + w, y + h),
                    class_id=channel,
                    crowd=channel == 2,
                    segmentation=runs_of(mask),
                )
            )
    return image, things


MOVING = {
    "published": dataclasses.replace(augmentation_named("published"), **COLOURLESS),
    "light": Augmentation(window_crop=0.6, mirror=0.5, tight_boxes=True),
    "all": Augmentation(
        zoom_out=0.7, iou_crop=True, window_crop=0.7, mirror=0.5, flip=0.5, tight_boxes=True
    ),
}
# Everything that moves masks, with colours off.
EVERY_MOVE = Augmentation(
    zoom_out=0.3,
    iou_crop=True,
    window_crop=0.3,
    mirror=0.5,
    flip=0.5,
    rotation=180.0,
    scale=(0.5, 2.0),
    copy_paste=0.7,
    min_visible=0.1,
    neutral_cuts=True,
)


@pytest.mark.parametrize("name", MOVING)
@settings(max_examples=50, deadline=None)
@example(seed=80, height=14, width=72, size=32)  # a crowd hides where the crop has cut
@given(
    seed=st.integers(0, 10**6),
    height=st.integers(12, 90),
    width=st.integers(12, 90),
    size=st.sampled_from([32, 48]),
)
def test_picture_masks_and_boxes_move_together(tmp_path_factory, name, seed, height, width, size):
    dataset = write_dataset(tmp_path_factory.mktemp("set"), [painted(seed, height, width)])
    with mock.patch.object(transforms, "_MEAN_COLOR", (0, 0, 0)):
        sample = training_set(dataset, MOVING[name], size=size, seed=seed)[0]
    target = sample.target
    assert sample.image.shape == (size, size, 3)
    assert target.masks.dtype == torch.bool
    assert target.masks.shape == (len(target), size, size)
    assert target.class_ids.tolist() == sorted(target.class_ids.tolist())
    assert ((target.boxes >= 0) & (target.boxes <= 1)).all()
    for box, class_id, mask in zip(target.boxes, target.class_ids, target.masks, strict=True):
        # The share of each pixel that is of the object's colour, but for rounding.
        painted_there = sample.image[..., class_id]
        assert (painted_there[mask.numpy()] >= 125).all()
        assert (painted_there[~mask.numpy()] <= 130).all()
        assert_inside(mask, box, size)
    for class_id in {0, 1} - set(target.class_ids.tolist()):
        rest = sample.image[..., class_id] > 130
        if rest.any():
            assert name != "light"
            # Cut off by the border, or by a thing painted over it that reaches there.
            rest |= (sample.image[..., class_id + 1 :] > 0).any(axis=-1)
            assert rest[[0, -1]].any() or rest[:, [0, -1]].any()
    crowd = torch.from_numpy(sample.image[..., 2] > 130)
    if crowd.any():
        (box,) = target.crowd_boxes
        assert_inside(crowd, box, size)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), height=st.integers(8, 20), width=st.integers(8, 20))
def test_boxes_are_tight_whatever_moves(tmp_path_factory, seed, height, width):
    """Tiny pictures, enlarged so far that the masks show each of their pixels."""
    pictures = [painted(seed + i, height, width) for i in range(2)]
    dataset = write_dataset(tmp_path_factory.mktemp("set"), pictures)
    # Turned pictures, too, take whole pixels, as masks do: else thin things are dim in them.
    exact = {"_MEAN_COLOR": (0, 0, 0), "_BILINEAR": transforms._NEAREST}
    with mock.patch.multiple(transforms, **exact):
        image, target = training_set(dataset, EVERY_MOVE, size=256, seed=seed)[0]
    for box, class_id, mask in zip(target.boxes, target.class_ids, target.masks, strict=True):
        x, y, w, h = cv2.boundingRect(mask.numpy().astype(np.uint8))
        assert (box * 256 - torch.tensor([x, y, x + w, y + h])).abs().max() <= 2.5
        assert (image[..., class_id][mask.numpy()] >= 125).all(), "the mask lies on its object"


def assert_inside(mask, box, size):
    rows, columns = (mask.any(dim=axis).nonzero()[:, 0] + 0.5 for axis in (1, 0))
    x1, y1, x2, y2 = (box * size).tolist()
    assert x1 - 1 <= columns[0] + 0.5
    assert columns[-1] - 0.5 <= x2 + 1
    assert y1 - 1 <= rows[0] + 0.5
    assert rows[-1] - 0.5 <= y2 + 1


@pytest.mark.parametrize("name", ["light", "published"])
def test_colours_do_not_move_anything(tmp_path, name):
    dataset = write_dataset(tmp_path, [painted(3, 40, 60)])
    still = dataclasses.replace(augmentation_named(name), **COLOURLESS)
    length = 12
    plain = training_set(dataset, still, length=length)
    colored = training_set(dataset, augmentation_named(name), length=length)
    changed = 0
    for index in range(length):
        one, other = plain[index], colored[index]
        assert torch.equal(one.target.masks, other.target.masks)
        assert torch.equal(one.target.boxes, other.target.boxes)
        changed += not np.array_equal(one.image, other.image)
    assert changed > length / 2


def test_none_is_what_inference_sees(tmp_path):
    image = noise(480, 640)
    mask = np.zeros((480, 640), bool)
    cv2.ellipse(mask.view(np.uint8), (300, 200), (90, 50), 30, 0, 360, 1, -1)
    box = (200, 120, 401, 280.5)
    dataset = write_dataset(
        tmp_path, [(image, [thing(box, class_id=3, segmentation=runs_of(mask))])]
    )
    sample = training_set(dataset, size=320)[0]
    plain = Normalization(mean=(0, 0, 0), std=(1, 1, 1))
    preset = type("Preset", (), {"input_size": 320, "normalization": plain})()
    prepare = Preprocessor(preset, torch.device("cpu"), torch.float32)
    expected = prepare([image], "rgb")[0].permute(1, 2, 0).numpy()
    assert np.abs(expected - sample.image).max() <= 1  # whole numbers here, fractions there
    shares = prepare([np.repeat(mask.view(np.uint8)[..., None], 3, axis=2)], "rgb")[0, 0]
    (got,) = sample.target.masks
    assert got[shares > 0.51].all()
    assert not got[shares < 0.49].any()
    assert sample.target.class_ids.tolist() == [3]
    expected_box = torch.tensor([[200 / 640, 120 / 480, 401 / 640, 280.5 / 480]])
    torch.testing.assert_close(sample.target.boxes, expected_box)


def test_mirror_by_hand(tmp_path):
    image = noise(8, 8)
    dataset = write_dataset(tmp_path, [(image, [thing((1, 2, 4, 7), class_id=2)])])
    sample = training_set(dataset, Augmentation(mirror=1), size=8)[0]
    np.testing.assert_array_equal(sample.image, image[:, ::-1])
    expected = torch.zeros(8, 8, dtype=torch.bool)
    expected[2:7, 4:7] = True
    assert torch.equal(sample.target.masks[0], expected)
    torch.testing.assert_close(sample.target.boxes, torch.tensor([[4 / 8, 2 / 8, 7 / 8, 7 / 8]]))


def test_polygons_and_run_lengths_are_the_same(tmp_path):
    mask = np.zeros((24, 32), bool)
    mask[4:12, 5:20] = True
    kinds = (polygon_of(5, 4, 20, 12), runs_of(mask), runs_of(mask, compressed=False))
    assert kinds[2]["counts"][0] == 5 * 24 + 4
    dataset = write_dataset(
        tmp_path, [(noise(24, 32), [thing((5, 4, 20, 12), segmentation=kind) for kind in kinds])]
    )
    masks = training_set(dataset)[0].target.masks
    assert len(masks) == 3
    assert (masks == masks[0]).all()
    assert masks[0].float().mean().item() == pytest.approx(8 * 15 / (24 * 32), abs=0.01)


def test_more_than_eight_objects(tmp_path):
    image = np.zeros((24, 200, 3), np.uint8)
    boxes = [(10 * i, i % 5, 10 * i + 8, 20) for i in range(19)]
    things = [thing(box, class_id=i % 5, crowd=i % 7 == 3) for i, box in enumerate(boxes)]
    target = training_set(write_dataset(tmp_path, [(image, things)]), size=200)[0].target
    left = [i for i in range(19) if i % 7 != 3]
    assert target.class_ids.tolist() == [i % 5 for i in left]
    assert target.masks.any(dim=1).int().argmax(dim=1).tolist() == [10 * i for i in left]
    torch.testing.assert_close(target.crowd_boxes[:, 0] * 200, torch.tensor([30.0, 100.0, 170.0]))


def test_boxes_are_clipped_and_those_without_area_are_dropped(tmp_path):
    things = [
        thing((3, 3, 3, 9), class_id=0, segmentation=polygon_of(2, 3, 6, 9)),
        thing((-5, -4, 8, 6), class_id=1, segmentation=polygon_of(0, 0, 8, 6)),
        thing((32, 2, 40, 9), class_id=2, segmentation=polygon_of(20, 2, 30, 9)),
        thing((20, 10, 50, 60), class_id=3, segmentation=polygon_of(20, 10, 32, 24)),
        thing((1, 1, 9, 9), class_id=4, segmentation=runs_of(np.zeros((24, 32), bool))),
    ]
    dataset = write_dataset(tmp_path, [(noise(24, 32), things)])
    target = training_set(dataset)[0].target
    assert target.class_ids.tolist() == [1, 3]
    torch.testing.assert_close(
        target.boxes, torch.tensor([[0, 0, 8 / 32, 6 / 24], [20 / 32, 10 / 24, 1, 1]])
    )
    assert target.masks[0, :8, :8].all()
    for name in ("light", "published"):
        several = training_set(dataset, augmentation_named(name), length=30)
        for index in range(30):
            assert set(several[index].target.class_ids.tolist()) <= {1, 3}


def test_cut_objects_need_enough_pixels(tmp_path):
    things = [
        thing((20, 5, 40, 25), class_id=0),  # cut to 5 of its 20 columns
        thing((2, 2, 5, 5), class_id=1),  # small, but whole
        thing((23, 12, 29, 18), class_id=2),  # cut to 2 of its 6 columns: 12 pixels
    ]
    dataset = write_dataset(tmp_path, [(noise(40, 40), things)])

    def kept(**strengths):
        # The window is the upper left 25 x 25 pixels.
        with mock.patch("torch.rand", lambda count: torch.tensor([0, 0, 0.5, 0, 0])):
            window = Augmentation(window_crop=1.0, smallest_window=25 / 40, **strengths)
            return training_set(dataset, window)[0].target.class_ids.tolist()

    assert kept() == kept(min_area=12) == kept(min_visible=0.25) == [0, 1, 2]
    assert kept(min_area=13) == [0, 1]
    assert kept(min_visible=0.26) == [1, 2]


def test_the_rest_of_a_cut_object_is_neutral_if_wanted(tmp_path):
    things = [thing((20, 5, 40, 25)), thing((2, 2, 8, 8)), thing((30, 0, 36, 40), crowd=True)]
    dataset = write_dataset(tmp_path, [(noise(40, 40), things)])
    for neutral, regions in ((True, [[20, 5, 25, 25]]), (False, [])):
        # The window is the upper left 25 x 25 pixels.
        with mock.patch("torch.rand", lambda count: torch.tensor([0, 0, 0.5, 0, 0])):
            window = Augmentation(
                window_crop=1.0, smallest_window=25 / 40, min_visible=0.3, neutral_cuts=neutral
            )
            target = training_set(dataset, window)[0].target
        assert len(target) == 1
        torch.testing.assert_close(
            target.crowd_boxes * 25, torch.tensor(regions).reshape(-1, 4).float()
        )


def test_images_that_lose_all_objects_are_replaced_unless_empty_ones_are_wanted(tmp_path):
    flat = thing((30, 10, 30, 50), segmentation=polygon_of(20, 10, 40, 50))
    pictures = [(noise(60, 60, 0), [flat]), (noise(60, 60, 1), [thing((5, 5, 30, 30))])]
    dataset = write_dataset(tmp_path, pictures)
    for wanted, counts in ((False, {1}), (True, {0, 1})):
        samples = training_set(dataset, length=6, empty_images=wanted)
        assert {len(samples[i].target) for i in range(6)} == counts


def test_boxes_are_tight_if_wanted(tmp_path):
    mask = np.zeros((40, 40), bool)
    mask[10:20, 20:38] = True
    mask[20:36, 30:38] = True  # an L, whose foot is right of the window
    dataset = write_dataset(
        tmp_path, [(noise(40, 40), [thing((20, 10, 38, 36), segmentation=runs_of(mask))])]
    )
    boxes = []
    for tight in (False, True):
        with mock.patch("torch.rand", lambda count: torch.tensor([0, 0, 0.5, 0.99, 0])):
            window = Augmentation(window_crop=1.0, smallest_window=0.75, tight_boxes=tight)
            boxes.append(training_set(dataset, window)[0].target.boxes[0] * 30)
    # The window is the lower 30 rows and the left 30 columns.
    torch.testing.assert_close(boxes[0], torch.tensor([20.0, 0.0, 30.0, 26.0]))
    torch.testing.assert_close(boxes[1], torch.tensor([20.0, 0.0, 30.0, 10.0]))


def test_crowds_do_not_decide_about_the_crop(tmp_path):
    image = noise(60, 60)
    crowded = write_dataset(tmp_path / "a", [(image, [thing((0, 0, 20, 20), crowd=True)])])
    samples = training_set(crowded, Augmentation(iou_crop=True), length=20)
    whole = training_set(crowded)[0].image
    for index in range(20):
        sample = samples[index]
        np.testing.assert_array_equal(sample.image, whole)
        torch.testing.assert_close(sample.target.crowd_boxes, torch.tensor([[0, 0, 1 / 3, 1 / 3]]))
    small = thing((50, 50, 58, 58), class_id=1)
    mixed = write_dataset(tmp_path / "b", [(image, [thing((0, 0, 20, 20), crowd=True), small])])
    samples = training_set(mixed, Augmentation(iou_crop=True), length=60)
    targets = [samples[index].target for index in range(60)]
    assert all(target.class_ids.tolist() == [1] for target in targets)
    assert {len(target.crowd_boxes) for target in targets} == {0, 1}


def test_boxes_without_area_do_not_decide_about_the_crop(tmp_path):
    flat = thing((30, 10, 30, 50), segmentation=polygon_of(20, 10, 40, 50))
    dataset = write_dataset(tmp_path, [(noise(60, 60), [flat])])
    samples = training_set(dataset, Augmentation(iou_crop=True), length=20)
    for index in range(20):
        np.testing.assert_array_equal(samples[index].image, samples[0].image)


def test_images_without_objects_take_part_unless_unwanted(tmp_path):
    pictures = [(noise(24, 32, 0), []), (noise(24, 32, 1), [thing((2, 2, 20, 20))]),
                (noise(24, 32, 2), [thing((2, 2, 20, 20), crowd=True)])]  # fmt: skip
    dataset = write_dataset(tmp_path, pictures)
    for name in ("published", "light", "none"):
        samples = training_set(dataset, augmentation_named(name))
        assert len(samples) == 3
        empty = samples[[samples.image_at(i).id for i in range(3)].index(1)].target
        assert empty.boxes.shape == empty.crowd_boxes.shape == (0, 4)
        assert empty.masks.shape == (0, 32, 32)
        assert empty.class_ids.dtype == torch.int64
    samples = training_set(dataset, empty_images=False)
    assert [samples.image_at(index).id for index in range(len(samples))] == [2]
    nothing = write_dataset(tmp_path / "empty", pictures[:1])
    with pytest.raises(ValueError, match=r"annotations.json: expected images to train on, got no"):
        training_set(nothing, empty_images=False)


def test_each_pass_shows_each_image_in_another_order(tmp_path):
    dataset = write_dataset(tmp_path, [(noise(8, 8, seed), []) for seed in range(9)])
    samples = training_set(dataset, length=27)
    passes = [[samples.image_at(9 * k + i).id for i in range(9)] for k in range(3)]
    assert all(sorted(order) == list(range(1, 10)) for order in passes)
    assert len({tuple(order) for order in passes}) == 3
    assert [samples.image_at(i).id for i in (20, 3, 11)] == [
        passes[2][2],
        passes[0][3],
        passes[1][2],
    ]
    assert [training_set(dataset, seed=1).image_at(i).id for i in range(9)] != passes[0]
    with pytest.raises(IndexError, match="expected 0 to 26, got 27"):
        samples[27]
    with pytest.raises(IndexError):
        samples[-1]


def test_samples_depend_on_seed_and_index_alone(tmp_path):
    dataset = write_dataset(tmp_path, [painted(seed, 40, 50) for seed in range(5)])
    published = augmentation_named("published")
    samples = training_set(dataset, published, length=10)
    first = [samples[i] for i in range(10)]
    torch.manual_seed(99)
    np.random.seed(99)
    state = torch.get_rng_state()
    again = training_set(dataset, published, length=20)
    for index in reversed(range(10)):
        assert_same(again[index], first[index])
    assert torch.equal(torch.get_rng_state(), state)
    other = training_set(dataset, published, length=10, seed=1)
    assert not all(np.array_equal(other[i].image, first[i].image) for i in range(10))
    same_image = [i for i in range(10) if samples.image_at(i).id == samples.image_at(0).id]
    assert len(same_image) == 2
    assert not np.array_equal(*[first[i].image for i in same_image])


def test_processes_make_the_same_samples(tmp_path):
    dataset = write_dataset(tmp_path, [painted(seed, 40, 50) for seed in range(6)])
    samples = training_set(dataset, augmentation_named("published"), length=12)
    loader = DataLoader(
        samples,
        batch_size=3,
        num_workers=2,
        collate_fn=collate,
        worker_init_fn=prepare_worker_that_imported_little,
        multiprocessing_context="spawn",
    )
    batches = list(loader)
    assert len(batches) == 4
    for number, (images, targets) in enumerate(batches):
        assert images.shape == (3, 32, 32, 3)
        assert images.dtype == np.int16  # the published colours are not clipped
        for row, target in enumerate(targets):
            sample = samples[3 * number + row]
            np.testing.assert_array_equal(images[row], sample.image)
            assert_same(target, sample.target)


def test_targets_survive_pickling(tmp_path):
    dataset = write_dataset(tmp_path, [painted(0, 40, 50), (noise(24, 32), [])])
    _, targets = collate([training_set(dataset, size=33)[i] for i in range(2)])
    copies = pickle.loads(pickle.dumps(targets))
    assert type(copies) is list
    for copy, target in zip(copies, targets, strict=True):
        assert_same(copy, target)
    assert len(pickle.dumps(targets)) < 33 * 33 * 3 / 8 + 2000


def test_large_images_are_reduced_before_a_zoom_out(tmp_path):
    dataset = write_dataset(tmp_path, [painted(5, 400, 300)])
    sizes = []
    original = transforms.v2.RandomZoomOut.forward

    def watched(self, sample):
        sizes.append(tuple(sample["image"].shape[1:]))
        return original(self, sample)

    with mock.patch.object(transforms.v2.RandomZoomOut, "forward", watched):
        zoomed = training_set(dataset, Augmentation(zoom_out=1e-9))[0].target
    assert sizes == [(96, 72)]
    whole = training_set(dataset)[0].target
    torch.testing.assert_close(zoomed.boxes, whole.boxes)
    assert zoomed.class_ids.tolist() == whole.class_ids.tolist()
    assert (zoomed.masks != whole.masks).float().mean() < 0.02
    torch.testing.assert_close(zoomed.crowd_boxes, whole.crowd_boxes, atol=0.02, rtol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "input_size: expected at least 1, got 0"),
        ({"seed": -1}, "seed: expected an integer >= 0, got -1"),
        ({"length": 0}, "length: expected at least 1, got 0"),
    ],
)
def test_bad_arguments(tmp_path, options, message):
    dataset = write_dataset(tmp_path, [(noise(24, 32), [])])
    with pytest.raises(ValueError, match=message):
        training_set(dataset, **options)


def test_a_file_that_is_no_image_is_named(tmp_path):
    dataset = write_dataset(tmp_path, [(noise(24, 32), [])])
    (tmp_path / "1.png").write_bytes(b"no")
    with pytest.raises(ValueError, match=r"image file, got .*1\.png which is no picture"):
        training_set(dataset)[0]


def test_images_with_rare_classes_are_shown_more_often(tmp_path):
    common, rare = (0, 0, 8, 8), thing((0, 0, 8, 8), class_id=1)
    pictures = [(noise(8, 8, n), [thing(common)] if n < 8 else []) for n in range(10)]
    pictures[3][1].append(rare)
    pictures[9][1].append(rare | {"crowd": True})
    dataset = write_dataset(tmp_path, pictures)
    # the rare class is in 1 of 10 images: sqrt(0.625 / 0.1) = 2.5; 8 of 10 have the other
    samples = training_set(dataset, length=240, repeat_threshold=0.625)
    assert samples.factors.tolist() == [1, 1, 1, 2.5, 1, 1, 1, 1, 1, 1]
    assert samples.pass_length == 12
    orders = [[samples.image_at(12 * k + i).id for i in range(12)] for k in range(20)]
    times = [order.count(4) for order in orders]
    assert set(times) == {2, 3} and all(set(order) == set(range(1, 11)) for order in orders)
    assert sum(times) / 20 == pytest.approx(2.5 * 12 / 11.5, abs=0.3)
    assert len(set(map(tuple, orders))) == 20
