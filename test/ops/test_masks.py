# SPDX-License-Identifier: Apache-2.0
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from yolact_ros.ops.masks import assemble_masks, crop_masks


def full_image_masks(prototypes, coefficients, boxes, image_size):
    """The published way: every mask as floats over the whole image."""
    masks = crop_masks(torch.sigmoid(prototypes @ coefficients.t()), boxes)
    enlarged = F.interpolate(
        masks.permute(2, 0, 1)[None], size=image_size, mode="bilinear", align_corners=False
    )
    return enlarged[0]


def paste(region, image_size):
    image = torch.zeros(image_size, dtype=torch.bool)
    height, width = region.mask.shape
    rows = slice(region.y_offset, region.y_offset + height)
    image[rows, region.x_offset : region.x_offset + width] = region.mask
    return image


def test_crop_keeps_whole_pixels_with_one_pixel_of_padding():
    masks = torch.ones(8, 8, 1)
    # x from 0.25 to 0.5 of 8 pixels is 2 to 4, padded 1 to 5; y from 0.3 is 2.4, padded 1.4.
    cropped = crop_masks(masks, torch.tensor([[0.25, 0.3, 0.5, 0.6]]))[..., 0]
    assert cropped.sum(dim=0).tolist() == [0, 4, 4, 4, 4, 0, 0, 0]
    assert cropped.sum(dim=1).tolist() == [0, 0, 4, 4, 4, 4, 0, 0]


def test_crop_takes_corners_in_any_order():
    masks = torch.rand(6, 6, 1)
    box = torch.tensor([[0.2, 0.2, 0.7, 0.6]])
    swapped = box[:, [2, 3, 0, 1]]
    torch.testing.assert_close(crop_masks(masks, box), crop_masks(masks, swapped))


def test_a_mask_of_one_prototype_by_hand():
    # A 2x2 grid enlarged to 4x4: weights are 1, 3/4, 1/4 and 0 of the left column's value.
    prototypes = torch.tensor([[[4.0], [-4.0]], [[4.0], [-4.0]]])
    box = torch.tensor([[0.0, 0.0, 1.0, 1.0]])
    [region] = assemble_masks(prototypes, torch.ones(1, 1), box, (4, 4))
    assert paste(region, (4, 4)).tolist() == [[True, True, False, False]] * 4


@settings(deadline=None, max_examples=150)
@given(
    seed=st.integers(0, 2**31),
    prototype_size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    image_size=st.tuples(st.integers(1, 150), st.integers(1, 150)),
    spread=st.floats(0.05, 1.5),
)
def test_assembly_inside_boxes_equals_the_full_image(seed, prototype_size, image_size, spread):
    generator = torch.Generator().manual_seed(seed)
    prototypes = torch.randn(*prototype_size, 4, generator=generator)
    coefficients = torch.randn(6, 4, generator=generator)
    # Boxes beyond the image, tiny ones and ones with swapped corners are among these.
    corners = torch.rand(6, 2, generator=generator) * 1.6 - 0.3
    boxes = torch.cat([corners, corners + spread * torch.randn(6, 2, generator=generator)], dim=1)
    expected = full_image_masks(prototypes, coefficients, boxes, image_size)
    regions = assemble_masks(prototypes, coefficients, boxes, image_size)
    for region, values in zip(regions, expected, strict=True):
        decided = (values - 0.5).abs() > 1e-5  # rounding may flip what lies on the threshold
        assert torch.equal(paste(region, image_size)[decided], (values > 0.5)[decided])


def test_boxes_outside_the_image_or_not_a_number_give_empty_masks():
    prototypes = torch.ones(10, 10, 1)
    nan = float("nan")
    boxes = torch.tensor([[1.3, 0.2, 1.6, 0.4], [-2.0, 0.2, -1.0, 0.4], [nan, nan, nan, nan]])
    regions = assemble_masks(prototypes, torch.ones(3, 1), boxes, (50, 70))
    assert [int(region.mask.sum()) for region in regions] == [0, 0, 0]
