# SPDX-License-Identifier: Apache-2.0
import pytest
import torch

from yolact_ros.inference.options import SegmenterOptions
from yolact_ros.inference.rescore import predict_mask_iou, rescore
from yolact_ros.network.mask_iou import MaskIouNet
from yolact_ros.structures import Detections


@pytest.fixture
def net():
    """Predicts 0.5, 1.0 and 0.2 for the classes 0, 1 and 2, whatever the mask."""
    net = MaskIouNet(3)
    last = net.maskiou_net[10]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.copy_(torch.tensor([0.5, 1.0, 0.2]))
    return net


@pytest.fixture
def detections():
    return Detections(
        boxes=torch.tensor([[0.1, 0.1, 0.5, 0.5], [0.2, 0.2, 0.6, 0.6], [0.0, 0.0, 1.0, 1.0]]),
        scores=torch.tensor([0.9, 0.8, 0.7]),
        class_ids=torch.tensor([0, 1, 2]),
        coefficients=torch.eye(3, 4),
    )


PROTOTYPES = torch.rand(70, 70, 4, generator=torch.Generator().manual_seed(0))


def options(rescoring):
    return SegmenterOptions(score_threshold=0.15, rescoring=rescoring)


def test_published_keeps_the_order_and_gives_the_mask_score_beside(net, detections):
    kept, mask_scores = rescore(net, PROTOTYPES, detections, options("published"))
    assert kept is detections
    torch.testing.assert_close(mask_scores, torch.tensor([0.5, 1.0, 0.2]))


def test_product_sorts_and_thresholds_again(net, detections):
    kept, mask_scores = rescore(net, PROTOTYPES, detections, options("product"))
    # 0.9 * 0.5 = 0.45, 0.8 * 1.0 = 0.8, 0.7 * 0.2 = 0.14 falls below 0.15.
    assert kept.class_ids.tolist() == [1, 0]
    torch.testing.assert_close(kept.scores, torch.tensor([0.8, 0.45]))
    torch.testing.assert_close(mask_scores, torch.tensor([1.0, 0.5]))
    torch.testing.assert_close(kept.boxes, detections.boxes[[1, 0]])
    torch.testing.assert_close(kept.coefficients, detections.coefficients[[1, 0]])


def test_class_alone_and_networks_without_the_net_have_no_mask_score(net, detections):
    for used, kind in ((net, "class"), (None, "published"), (None, "product")):
        kept, mask_scores = rescore(used, PROTOTYPES, detections, options(kind))
        assert kept is detections and mask_scores is None


def test_no_detection_gives_no_score(net, detections):
    none = Detections(*(values[:0] for values in detections))
    for kind in ("published", "product"):
        kept, mask_scores = rescore(net, PROTOTYPES, none, options(kind))
        assert len(kept.scores) == len(mask_scores) == 0


def test_only_the_cropped_mask_is_looked_at(detections):
    torch.manual_seed(0)
    net = MaskIouNet(3)
    changed = PROTOTYPES.clone()
    changed[60:, 60:] += 5  # outside the first two boxes
    one = predict_mask_iou(net, PROTOTYPES, detections)
    other = predict_mask_iou(net, changed, detections)
    torch.testing.assert_close(one[:2], other[:2])


def test_prototypes_too_small_for_the_strides_are_filled_up(net):
    masks = torch.rand(2, 1, 20, 70)
    filled = torch.zeros(2, 1, 63, 70)
    filled[:, :, :20] = masks
    torch.testing.assert_close(net(masks), net(filled))


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="rescoring: expected one of published, product, class"):
        options("sum")
