#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs a file of `yolact-ros export` with NumPy, OpenCV and ONNX Runtime: no torch, no yolact_ros.

python3 onnx_numpy.py demo.onnx picture.png --out overlay.png
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import cv2
import numpy as np
import onnxruntime

MASK_THRESHOLD = 0.5
CROP_PADDING = 1  # prototype pixels around a box that its mask may use


class Model:
    """An exported network.

    Args:
        path: The `.onnx` file.
        providers: ONNX Runtime's execution providers, the preferred one first.

    Raises:
        ValueError: It has no decoded outputs, or another program wrote it.
    """

    def __init__(self, path: str, providers: tuple[str, ...] = ("CPUExecutionProvider",)) -> None:
        self.session = onnxruntime.InferenceSession(path, providers=list(providers))
        metadata = self.session.get_modelmeta().custom_metadata_map
        if "options" not in metadata:  # of the decoded outputs
            raise ValueError(f"expected a file of `yolact-ros export` without --raw, got {path}")
        self.class_names = json.loads(metadata["class_names"])
        self.side = int(metadata["input_size"])
        self.mean = np.array(json.loads(metadata["mean"]), np.float32)
        self.std = np.array(json.loads(metadata["std"]), np.float32)

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 BGR to the network's input (3, S, S): RGB, resized, normalised."""
        rgb = image[:, :, ::-1].astype(np.float32)  # resized as float: published, never rounded
        resized = cv2.resize(rgb, (self.side, self.side), interpolation=cv2.INTER_LINEAR)
        return ((resized - self.mean) / self.std).transpose(2, 0, 1)

    def __call__(self, images: list[np.ndarray]) -> list[dict[str, Any]]:
        """Segments a batch of images of any sizes.

        Returns:
            For each image boxes (N, 4) in pixels, scores (N,), class_ids (N,), masks (N, H, W), and
            mask_scores (N,) from a YOLACT++; best score first.
        """
        names = [output.name for output in self.session.get_outputs()]
        batch = np.stack([self.prepare(image) for image in images])
        outputs = dict(zip(names, self.session.run(names, {"images": batch}), strict=True))
        return [self._instances(outputs, i, image.shape[:2]) for i, image in enumerate(images)]

    def _instances(
        self, outputs: dict[str, np.ndarray], i: int, size: tuple[int, int]
    ) -> dict[str, Any]:
        found = outputs["scores"][i] > 0  # the places that are left are zero
        boxes = outputs["boxes"][i][found]
        coefficients = outputs["detection_coefficients"][i][found]
        instances = {
            "boxes": pixel_boxes(boxes, size),
            "scores": outputs["scores"][i][found],
            "class_ids": outputs["class_ids"][i][found],
            "masks": assemble_masks(outputs["prototypes"][i], coefficients, boxes, size),
        }
        if "mask_scores" in outputs:
            instances["mask_scores"] = outputs["mask_scores"][i][found]
        return instances


def assemble_masks(
    prototypes: np.ndarray, coefficients: np.ndarray, boxes: np.ndarray, size: tuple[int, int]
) -> np.ndarray:
    """Prototypes (h, w, k), coefficients (N, k) and boxes (N, 4), fractions, to (N, H, W) bool."""
    height, width, _ = prototypes.shape
    masks = np.zeros((len(boxes), *size), bool)
    for mask, weights, (x1, y1, x2, y2) in zip(masks, coefficients, boxes, strict=True):
        soft = 1 / (1 + np.exp(-np.clip(prototypes @ weights, -60, 60)))
        left, right = min(x1, x2) * width - CROP_PADDING, max(x1, x2) * width + CROP_PADDING
        top, bottom = min(y1, y2) * height - CROP_PADDING, max(y1, y2) * height + CROP_PADDING
        columns, rows = np.arange(width), np.arange(height)
        soft[:, (columns < left) | (columns >= right)] = 0
        soft[(rows < top) | (rows >= bottom)] = 0
        enlarged = cv2.resize(soft, size[::-1], interpolation=cv2.INTER_LINEAR)
        np.greater(enlarged, MASK_THRESHOLD, out=mask)
    return masks


def pixel_boxes(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N, 4) fractions to x1, y1, x2, y2 in pixels within the image."""
    limits = np.array([size[1], size[0]], np.float32)
    corners = np.sort(boxes.reshape(-1, 2, 2), axis=1) * limits
    return corners.clip(0, limits).reshape(-1, 4)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", help=".onnx file of `yolact-ros export`")
    parser.add_argument("image")
    parser.add_argument("--out", help="picture with the masks to write")
    arguments = parser.parse_args()
    try:
        model, image = Model(arguments.model), cv2.imread(arguments.image)
    except ValueError as error:
        parser.error(f"model: {error}")
    if image is None:
        parser.error(f"image: expected a picture, cannot read {arguments.image}")
    [found] = model([image])
    for score, class_id, box, mask in zip(
        found["scores"], found["class_ids"], found["boxes"], found["masks"], strict=True
    ):
        corners = ", ".join(f"{value:.0f}" for value in box)
        print(f"{model.class_names[class_id]} {score:.2f}: box {corners}, {mask.sum()} pixels")
    if arguments.out:
        colors = np.random.default_rng(0).integers(64, 256, (len(found["masks"]), 3))
        for mask, color in zip(found["masks"], colors, strict=True):
            image[mask] = (image[mask] + color) // 2
        cv2.imwrite(arguments.out, image)


if __name__ == "__main__":
    main()
