# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from yolact_ros.masks import unpack_mask
from yolact_ros.structures import Instances, Objects, PackedMask
from yolact_testing.comparing import assert_same
from yolact_testing.instances import instances_of

masks = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40))


@given(masks, st.integers(0, 50), st.integers(0, 50))
def test_packing_and_unpacking_gives_the_mask_back(mask, x_offset, y_offset):
    packed = PackedMask.from_array(mask, x_offset, y_offset)
    image = np.zeros((120, 120), bool)
    image[packed.rectangle] = packed.to_array()
    expected = np.zeros((120, 120), bool)
    expected[y_offset : y_offset + mask.shape[0], x_offset : x_offset + mask.shape[1]] = mask
    np.testing.assert_array_equal(image, expected)
    assert packed.area == mask.sum()


@given(masks)
def test_the_rectangle_is_tight(mask):
    packed = PackedMask.from_array(mask)
    if not mask.any():
        assert packed.empty
        assert (packed.width, packed.height, packed.step, packed.data.size) == (0, 0, 0, 0)
        return
    crop = packed.to_array()
    assert crop[0].any() and crop[-1].any() and crop[:, 0].any() and crop[:, -1].any()


def test_bits_are_most_significant_first_with_padded_rows():
    mask = np.zeros((2, 10), bool)
    mask[0, 0] = mask[0, 9] = mask[1, 1] = True
    packed = PackedMask.from_array(mask, x_offset=3, y_offset=5)
    assert packed.data.tolist() == [0b10000000, 0b01000000, 0b01000000, 0]
    assert (packed.x_offset, packed.y_offset, packed.width, packed.height) == (3, 5, 10, 2)
    assert packed.step == 2


@pytest.mark.parametrize(
    ("data", "width", "height", "step", "message"),
    [
        (b"\0" * 4, 9, 2, 1, "step >= ceil"),
        (b"\0" * 3, 9, 2, 2, r"2 \* 2 = 4 bytes of data, got 3"),
        (b"\0" * 5, 9, 2, 2, "got 5"),
        (b"", -1, 0, 0, "width -1"),
    ],
)
def test_contradicting_sizes_are_refused(data, width, height, step, message):
    with pytest.raises(ValueError, match=message):
        unpack_mask(data, width, height, step)


def test_from_array_refuses_anything_but_a_bool_image():
    with pytest.raises(ValueError, match=r"expected \(h, w\) bool, got \(2, 2\) uint8"):
        PackedMask.from_array(np.zeros((2, 2), np.uint8))


def test_maps_have_the_better_score_on_top():
    left, right = np.zeros((2, 1, 5), bool)
    left[0, 0:3] = True
    right[0, 2:5] = True
    found = instances_of([left, right], scores=[0.9, 0.5], class_ids=[7, 0])
    assert found.instance_map().tolist() == [[1, 1, 1, 2, 2]]
    assert found.class_map().tolist() == [[7, 7, 7, 0, 0]]
    assert found.instance_map().dtype == np.uint16
    assert found.class_map().dtype == np.uint8
    assert found.confidence_map().tolist() == [[230, 230, 230, 128, 128]]
    assert found.confidence_map().dtype == np.uint8


def test_maps_of_nothing_are_background():
    nothing = instances_of([np.zeros((2, 3), bool)], [0.5], [1]).without_empty_masks()
    assert len(nothing) == 0
    assert nothing.masks.shape == (0, 2, 3)
    assert (nothing.instance_map() == 0).all()
    assert (nothing.class_map() == 255).all()
    assert (nothing.confidence_map() == 0).all()


def test_a_class_id_beyond_the_class_map_stays_out_of_it():
    found = instances_of([np.ones((1, 1), bool)], [0.5], [255 + 1])
    assert found.class_map().tolist() == [[255]]


def test_an_index_selects_in_its_order():
    shapes = [np.eye(3, dtype=bool), np.ones((3, 3), bool), np.zeros((3, 3), bool)]
    found = instances_of(shapes, [0.9, 0.8, 0.7], [0, 1, 2])
    assert found[[2, 0]].class_ids.tolist() == [2, 0]
    assert found[(2, 0)].class_ids.tolist() == [2, 0]
    assert found[(True, False, False)].class_ids.tolist() == [0]
    assert found[np.array([False, True, False])].class_names == ("class 1",)
    assert found[found.scores > 0.75].class_ids.tolist() == [0, 1]
    assert found[1:].class_ids.tolist() == [1, 2]
    assert found[-1].class_ids.tolist() == found[np.int64(2)].class_ids.tolist() == [2]
    assert found.without_empty_masks().class_ids.tolist() == [0, 1]
    np.testing.assert_array_equal(found.masks, shapes)
    for index in (3, [0, 3], [True, False], np.zeros(4, bool)):
        with pytest.raises(IndexError):
            found[index]


@given(st.data(), st.integers(0, 5), st.booleans())
def test_an_index_does_with_every_field_what_numpy_does_with_an_array(data, count, rescored):
    rng = np.random.default_rng(count)
    regions = rng.random((count, 3, 4)) < 0.5
    found = Instances(
        image_size=(3, 4),
        boxes=rng.random((count, 4), np.float32),
        scores=rng.random(count, np.float32),
        class_ids=np.arange(count),
        class_names=tuple("abcde"[:count]),
        packed_masks=tuple(PackedMask.from_array(region) for region in regions),
        mask_scores=rng.random(count, np.float32) if rescored else None,
    )
    integers = st.integers(-count, count - 1) if count else st.nothing()
    lists = st.lists(integers, max_size=8 if count else 0)
    index = data.draw(
        st.one_of(
            integers,
            st.slices(count),
            lists,
            lists.map(lambda values: np.array(values, np.int64)),
            st.lists(st.booleans(), min_size=count, max_size=count).map(
                lambda values: np.array(values, bool)
            ),
        )
    )
    got = found[index]
    plain = np.array(index, np.int64) if isinstance(index, list) else index
    order = np.atleast_1d(np.arange(count)[plain])
    assert len(got) == len(order)
    np.testing.assert_array_equal(got.boxes, found.boxes[order])
    np.testing.assert_array_equal(got.scores, found.scores[order])
    np.testing.assert_array_equal(got.class_ids, order)
    np.testing.assert_array_equal(got.masks, regions[order])
    assert "".join(got.class_names) == "".join("abcde"[i] for i in order)
    if rescored:
        np.testing.assert_array_equal(got.mask_scores, found.mask_scores[order])
    else:
        assert got.mask_scores is None
    assert_same(got[:], got)


def test_iterating_gives_each_instance():
    shapes = [np.eye(3, dtype=bool), np.zeros((3, 3), bool)]
    found = instances_of(shapes, [0.75, 0.5], [4, 2], ["mug", "box"])
    first, second = found
    assert (first.score, first.class_id, first.class_name) == (0.75, 4, "mug")
    assert first.box.tolist() == [0, 0, 3, 3] and first.packed_mask is found.packed_masks[0]
    assert (second.score, second.class_id, second.class_name) == (0.5, 2, "box")
    assert second.packed_mask.empty and second.mask_score is None
    scored = Instances(**vars(found) | {"mask_scores": np.array([0.25, 0.5], np.float32)})
    assert [one.mask_score for one in scored] == [0.25, 0.5]


def test_printed_on_one_line_without_arrays():
    shapes = np.ones((3, 30, 40), bool)
    found = instances_of(shapes, class_names=["mug", "box", "mug"])
    assert repr(found) == "Instances(2 mug, 1 box in 40x30 pixels)"
    assert repr(found[[]]) == "Instances(none in 40x30 pixels)"
    assert repr(found.packed_masks[0]) == (
        "PackedMask(x_offset=0, y_offset=0, width=40, height=30, step=5)"
    )


ONE = instances_of([np.ones((2, 3), bool)])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"scores": np.zeros(2, np.float32)}, r"scores: expected shape \(1,\) of .*, got \(2,\)"),
        ({"boxes": np.zeros((1, 5), np.float32)}, r"boxes: expected shape \(1, 4\) of float32"),
        ({"boxes": np.zeros((1, 4))}, r"boxes: .* of float32, got \(1, 4\) of float64"),
        ({"scores": np.zeros(1, np.float16)}, "scores: .* of float32, got .* of float16"),
        ({"class_ids": np.zeros(1, np.int32)}, "class_ids: .* of int64, got .* of int32"),
        ({"mask_scores": np.zeros(1)}, "mask_scores: .* of float32, got .* of float64"),
        ({"class_names": ("a", "b")}, "class_names: expected 1 names, got 2"),
        ({"image_size": (2, 2)}, "packed_masks: expected masks within 2x2 pixels, got .*width=3"),
        ({"image_size": (1, 3)}, "packed_masks: expected masks within 3x1 pixels, got .*height=2"),
    ],
)
def test_fields_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Instances(**vars(ONE) | changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_offset": -1}, "offsets and sizes of 0 or more, got .*x_offset=-1"),
        ({"y_offset": -1}, "offsets and sizes of 0 or more, got .*y_offset=-1"),
        ({"height": -1}, "offsets and sizes of 0 or more, got .*height=-1"),
        ({"width": -1}, "offsets and sizes of 0 or more, got .*width=-1"),
        ({"width": 9}, r"step >= ceil\(width / 8\), got .*width=9, height=2, step=1"),
        ({"height": 3}, r"data: expected shape \(3,\) of uint8, got \(2,\) of uint8"),
        ({"data": np.zeros(2, np.int8)}, r"data: .* of uint8, got \(2,\) of int8"),
        ({"data": np.zeros((1, 2), np.uint8)}, r"data: expected shape \(2,\) .* got \(1, 2\)"),
    ],
)
def test_masks_that_contradict_themselves_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        PackedMask(**vars(ONE.packed_masks[0]) | changes)


OBJECTS = {
    "instances": np.array([1, 3]),
    "centres": np.ones((2, 3)),
    "sizes": np.zeros((2, 3)),
    "orientations": np.array([[0.0, 0, 0, 1], [0.6, 0, 0.8, 0]]),
    "covariances": np.tile(np.eye(6), (2, 1, 1)),
    "coverages": np.array([0, 1], np.float32),
    "points": np.array([1, 500]),
}


def test_objects_say_which_instances_they_are():
    assert len(Objects(**OBJECTS)) == 2
    assert repr(Objects(**OBJECTS)) == "Objects(2 of the instances [1, 3])"
    assert len(Objects.none()) == 0


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("instances", np.array([0, 3]), "instances: a value is out of its range"),
        ("instances", np.array([3, 3]), "instances: a value is out of its range"),
        ("instances", np.array([1, 3], np.int32), "instances: expected shape .2,. of int64"),
        ("centres", np.ones((3, 3)), "centres: expected shape .2, 3. of float64"),
        ("centres", np.full((2, 3), np.nan), "centres: expected finite numbers"),
        ("sizes", np.full((2, 3), -1.0), "sizes: a value is out of its range"),
        ("orientations", np.zeros((2, 4)), "orientations: a value is out of its range"),
        ("covariances", np.tile(-np.eye(6), (2, 1, 1)), "covariances: a value is out of its range"),
        ("covariances", np.tile(np.eye(3), (2, 1, 1)), "covariances: expected shape .2, 6, 6."),
        ("coverages", np.array([0, 1.1], np.float32), "coverages: a value is out of its range"),
        ("points", np.array([0, 500]), "points: a value is out of its range"),
    ],
)
def test_objects_that_cannot_be_are_refused(name, value, message):
    with pytest.raises(ValueError, match=message):
        Objects(**OBJECTS | {name: value})
