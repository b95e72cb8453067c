# SPDX-License-Identifier: Apache-2.0
"""What speed is compared with: the published evaluation code's steps, in their order.

Eager FP32 and full-image float masks. It shares nothing with `Segmenter` but the network's layers
and the stop watch: what makes `Segmenter` faster leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor
from torchvision.ops import box_iou, clip_boxes_to_image

from yolact_ros.inference.timing import StageClock
from yolact_ros.network import Yolact
from yolact_ros.structures import RawPredictions

_CANDIDATE_THRESHOLD = 0.05
_CANDIDATES_A_CLASS = 200
_MASK_THRESHOLD = 0.5


class PlainInstances(NamedTuple):
    """N objects of one image, best score first, on the host.

    Attributes:
        boxes: (N, 4) x1, y1, x2, y2 in pixels.
        scores, class_ids: (N,) each; classes are 0-based.
        masks: (N, H, W), 0 or 1.
        mask_scores: (N,) predicted mask IoU, or None without a mask-IoU net.
    """

    boxes: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    class_ids: npt.NDArray[np.int64]
    masks: npt.NDArray[np.float32]
    mask_scores: npt.NDArray[np.float32] | None


class PlainSegmenter:
    """Segment as the published evaluation does.

    Args:
        network: In evaluation mode, in fp32, on its device, not folded.
        max_instances: Keep at most so many per image.
        nms_iou: IoU above which Fast NMS discards a detection.
        score_threshold: Keep detections with a higher score.

    Attributes:
        timings: Milliseconds of each of `STAGES` in the last call.
    """

    def __init__(
        self, network: Yolact, *, max_instances: int, nms_iou: float, score_threshold: float
    ) -> None:
        self._network = network
        self._device = next(network.parameters()).device
        self._max_instances = max_instances
        self._nms_iou = nms_iou
        self._score_threshold = score_threshold
        normalization = network.preset.normalization
        self._mean = torch.tensor(normalization.mean, device=self._device).view(1, 3, 1, 1)
        self._std = torch.tensor(normalization.std, device=self._device).view(1, 3, 1, 1)
        self.timings: dict[str, float] = {}

    @torch.inference_mode()
    def __call__(self, images: Sequence[npt.NDArray[np.uint8]]) -> list[PlainInstances]:
        """Segment B images, (H, W, 3) uint8 BGR, all of one size."""
        clock = StageClock(self._device)
        frames = torch.stack([torch.from_numpy(image).to(self._device).float() for image in images])
        clock.record("upload")
        x = self._preprocess(frames)
        clock.record("preprocess")
        predictions: RawPredictions = self._network(x)
        clock.record("network")
        found = [self._detect(predictions, i) for i in range(len(images))]
        clock.record("decode")
        height, width = images[0].shape[:2]
        masks = [
            self._masks(predictions.prototypes[i], detections, height, width)
            for i, detections in enumerate(found)
        ]
        clock.record("masks")
        results = [
            PlainInstances(
                _pixel_boxes(boxes, height, width),
                scores.cpu().numpy(),
                classes.cpu().numpy(),
                pixels.cpu().numpy(),
                None if mask_scores is None else mask_scores.cpu().numpy(),
            )
            for (boxes, scores, classes, _), (pixels, mask_scores) in zip(found, masks, strict=True)
        ]
        clock.record("download")
        self.timings = clock.milliseconds
        return results

    def _preprocess(self, frames: Tensor) -> Tensor:
        side = self._network.preset.input_size
        x = frames.permute(0, 3, 1, 2).contiguous()
        x = F.interpolate(x, (side, side), mode="bilinear", align_corners=False)
        return ((x.flip(1) - self._mean) / self._std).contiguous()

    def _detect(self, predictions: RawPredictions, image: int) -> tuple[Tensor, ...]:
        """Boxes, scores, classes and coefficients of one image's detections."""
        offsets, priors = predictions.offsets[image], predictions.priors
        sizes = priors[:, 2:] * torch.exp(0.2 * offsets[:, 2:])
        corners = priors[:, :2] + 0.1 * offsets[:, :2] * priors[:, 2:] - sizes / 2
        boxes = torch.cat([corners, corners + sizes], dim=1)
        scores = predictions.class_scores[image].t()[1:]  # (K, P)
        passed = scores.max(dim=0)[0] > _CANDIDATE_THRESHOLD
        boxes, scores = boxes[passed], scores[:, passed]
        coefficients = predictions.coefficients[image][passed]

        scores, order = scores.sort(dim=1, descending=True)
        scores, order = scores[:, :_CANDIDATES_A_CLASS], order[:, :_CANDIDATES_A_CLASS]
        classes = torch.arange(len(order), device=order.device)[:, None].expand_as(order)
        keep = torch.zeros_like(order, dtype=torch.bool)
        if len(boxes):
            keep = (
                torch.vmap(box_iou)(boxes[order], boxes[order]).triu(diagonal=1).amax(dim=1)
                <= self._nms_iou
            )
        scores, best = scores[keep].sort(descending=True)
        best = best[: self._max_instances]
        scores = scores[: self._max_instances]
        candidates, classes = order[keep][best], classes[keep][best]
        above = scores > self._score_threshold
        candidates = candidates[above]
        return boxes[candidates], scores[above], classes[above], coefficients[candidates]

    def _masks(
        self, prototypes: Tensor, detections: tuple[Tensor, ...], height: int, width: int
    ) -> tuple[Tensor, Tensor | None]:
        """(N, H, W) float masks and the predicted IoU of each."""
        boxes, _, classes, coefficients = detections
        net = self._network.maskiou_net
        if len(boxes) == 0:
            return boxes.new_zeros(0, height, width), None if net is None else boxes.new_zeros(0)
        masks = torch.sigmoid(prototypes @ coefficients.t())
        masks = _crop(masks, boxes).permute(2, 0, 1).contiguous()
        mask_scores = None
        if net is not None:
            mask_scores = net(masks[:, None]).gather(1, classes[:, None])[:, 0]
        masks = F.interpolate(masks[None], (height, width), mode="bilinear", align_corners=False)
        return masks[0].gt_(_MASK_THRESHOLD), mask_scores


def draw_plainly(
    image: npt.NDArray[np.uint8], instances: PlainInstances, class_names: Sequence[str]
) -> npt.NDArray[np.uint8]:
    """Blend every full-image mask in float, then draw boxes and names."""
    opacity = 0.45
    canvas = image.astype(np.float32)
    generator = np.random.default_rng(0)
    colors = generator.integers(0, 256, (len(instances.masks), 3)).astype(np.float32)
    for mask, color in zip(instances.masks[::-1], colors[::-1], strict=True):
        weight = mask[:, :, None] * opacity
        canvas = canvas * (1 - weight) + color * weight
    drawn = canvas.astype(np.uint8)
    for i in range(len(colors) - 1, -1, -1):
        x1, y1, x2, y2 = (int(value) for value in instances.boxes[i])
        text = f"{class_names[instances.class_ids[i]]}: {instances.scores[i]:.2f}"
        cv2.rectangle(drawn, (x1, y1), (x2, y2), colors[i].tolist(), 1)
        cv2.putText(drawn, text, (x1, y1), cv2.FONT_HERSHEY_DUPLEX, 0.6, (255, 255, 255), 1)
    return drawn


def _crop(masks: Tensor, boxes: Tensor) -> Tensor:
    """Zeros outside the boxes, padded by one prototype pixel; masks are (h, w, N)."""
    height, width, count = masks.shape
    scale = boxes.new_tensor([width, height, width, height])
    left, top, right, bottom = (boxes * scale + boxes.new_tensor([-1, -1, 1, 1])).unbind(1)
    columns = torch.arange(width, device=masks.device).view(1, -1, 1).expand(height, width, count)
    rows = torch.arange(height, device=masks.device).view(-1, 1, 1).expand(height, width, count)
    inside = (columns >= left) & (columns < right) & (rows >= top) & (rows < bottom)
    return masks * inside.float()


def _pixel_boxes(boxes: Tensor, height: int, width: int) -> npt.NDArray[np.int64]:
    scaled = boxes * boxes.new_tensor([width, height, width, height])
    return clip_boxes_to_image(scaled, (height, width)).long().cpu().numpy()
