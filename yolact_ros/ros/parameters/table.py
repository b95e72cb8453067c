# SPDX-License-Identifier: Apache-2.0
"""The parameters of the node `yolact`: each is declared once, as a field of `Settings`."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from yolact_ros.choices import (
    DEPTH_TRANSPORTS,
    ENGINE_CHOICES,
    NMS_KINDS,
    PRECISIONS,
    RESCORING_KINDS,
    RESIZE_KINDS,
    TRANSPORTS,
)
from yolact_ros.presets import preset_names
from yolact_ros.recordings.images.bounds import MAX_PIXELS
from yolact_ros.ros.parameters.spec import ParameterSpec, parameter, table_of

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
_CAMERA = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def _is_direction(values: tuple[float, ...]) -> bool:
    """Whether these are three numbers that may point somewhere, or three zeros."""
    length = math.hypot(*values) if len(values) == 3 else math.nan
    return length == 0 or 1e-3 < length < 1e3


def _is_region(values: tuple[int, ...]) -> bool:
    """Whether these are a corner and the size of a rectangle, or four zeros."""
    return len(values) == 4 and min(values) >= 0 and (not any(values) or min(values[2:]) > 0)


@dataclass(frozen=True)
class Settings:
    """The parameters and their checked values; `overlay.opacity` is the field `overlay_opacity`.

    Attributes:
        of_cameras: Those that each camera has for itself, such as `front.roi`, by name.
    """

    preset: str = parameter(
        "",
        "Network and class list. Empty: those the weights were made for, or yolact_demo if no "
        "weights are given.",
        expected=f"nothing, or one of {', '.join(preset_names())}",
        accepts=lambda text: text in ("", *preset_names()),
    )
    weights: str = parameter(
        "",
        "Path of the network's weights. Empty: the weights downloaded for the preset, or those of "
        "yolact_demo, with a warning.",
        expected="a path, or nothing for the weights that are shipped or downloaded",
        is_path=True,
    )
    class_names: tuple[str, ...] = parameter(
        (),
        "Classes the weights were trained on, ordered by id. Needed only if neither the preset "
        "nor the file lists them.",
        expected="a list of class names",
    )
    engine: str = parameter(
        "auto",
        "Runtime that executes the network. auto: torch for weights; for a file of `yolact-ros "
        "export` or `quantize`, onnxruntime or, where that is missing, openvino.",
        choices=ENGINE_CHOICES,
    )
    device: str = parameter(
        "auto",
        "Device that runs the network. auto: the GPU if there is one.",
        expected="auto, cpu, cuda or cuda:N (cuda:0 is the first GPU)",
        accepts=lambda text: _DEVICE.fullmatch(text) is not None,
    )
    cpu_fallback: bool = parameter(
        False,
        "Go on with the CPU, slowly, when the GPU's memory does not even hold single images.",
    )
    precision: str = parameter(
        "auto",
        "Arithmetic of the network. auto: fp16 on a GPU; on a CPU, bf16 where a convolution is "
        "measured to be at least 1.3 times as fast in it, else fp32; tf32: fp32 with products of "
        "10 bits, on GPUs only.",
        choices=PRECISIONS,
    )
    resize: str = parameter(
        "square",
        "How images are resized to the network's input. square: stretched to a square, as "
        "published; fit: aspect ratio kept.",
        choices=RESIZE_KINDS,
    )
    compile: bool = parameter(
        False,
        "Run the network through torch.compile. Faster on a CPU, but configuring the node takes "
        "about a minute and needs a C++ compiler.",
    )
    score_threshold: float = parameter(
        0.15,
        "Minimum score; instances below it are not published.",
        minimum=0.0,
        maximum=1.0,
        at_run_time=True,
    )
    max_instances: int = parameter(
        100,
        "Maximum number of instances per image; those with the highest scores are kept.",
        minimum=1,
        maximum=1000,
        at_run_time=True,
    )
    nms: str = parameter(
        "fast",
        "How duplicates are suppressed. fast: Fast NMS within each class; cross_class: Fast NMS "
        "across all classes; exact: greedy NMS within each class.",
        choices=NMS_KINDS,
        at_run_time=True,
    )
    nms_iou: float = parameter(
        0.5,
        "Box IoU above which the lower-scoring of two instances is suppressed as a duplicate.",
        minimum=0.0,
        maximum=1.0,
        at_run_time=True,
    )
    rescoring: str = parameter(
        "published",
        "How YOLACT++ uses the predicted mask IoU. published: reported in `mask_score` beside the "
        "class score; product: the score is their product; class: not predicted.",
        choices=RESCORING_KINDS,
        at_run_time=True,
    )
    classes: tuple[str, ...] = parameter(
        (),
        "Names of the classes to report. Empty: all classes.",
        expected="a list of class names",
        at_run_time=True,
    )
    image_transport: str = parameter(
        "raw",
        "raw: subscribe to sensor_msgs/Image on `image`; compressed: to "
        "sensor_msgs/CompressedImage on `image/compressed`.",
        choices=TRANSPORTS,
    )
    depth_transport: str = parameter(
        "raw",
        "raw: subscribe to depth images, sensor_msgs/Image, on `depth`; compressedDepth: to "
        "sensor_msgs/CompressedImage on `depth/compressedDepth`.",
        choices=DEPTH_TRANSPORTS,
    )
    cameras: tuple[str, ...] = parameter(
        (),
        "Names of the cameras that share the network: `front` is read from `front/image` and its "
        "results are published under `~/front/`. Empty: one camera, on `image`.",
        expected="a list of different names of letters, digits and _ that begin with no digit",
        accepts=lambda names: (
            len(set(names)) == len(names) and all(_CAMERA.fullmatch(name) for name in names)
        ),
    )
    batch_wait: float = parameter(
        0.005,
        "With `cameras`: maximum time in seconds that an image waits for images expected from "
        "other cameras, to share a batch with them.",
        minimum=0.0,
        maximum=10.0,
        at_run_time=True,
    )
    max_batch: int = parameter(
        0,
        "With `cameras`: maximum batch size; the images that have waited longest go first. 0: one "
        "image per camera.",
        minimum=0,
        maximum=1000,
        at_run_time=True,
    )
    max_rate: float = parameter(
        0.0,
        "Maximum processing rate per camera, in Hz (0: unlimited). With `cameras`, limits batches "
        "per second.",
        minimum=0.0,
        maximum=1000.0,
        at_run_time=True,
    )
    max_image_age: float = parameter(
        0.0,
        "Maximum age of an image in seconds, by its stamp; older images are dropped (0: "
        "unlimited).",
        minimum=0.0,
        maximum=3600.0,
        at_run_time=True,
    )
    max_image_pixels: int = parameter(
        MAX_PIXELS,
        "Maximum number of pixels per image; larger images are refused, which bounds memory use.",
        minimum=1,
        at_run_time=True,
    )
    image_depth_bits: int = parameter(
        0,
        "Bits that 16-bit images use of each sample, counted from the lowest, such as 12. 0: the "
        "fewest of 8, 10, 12, 14 and 16 that all images of the camera so far fit in.",
        minimum=0,
        maximum=16,
        at_run_time=True,
    )
    roi: tuple[int, ...] = parameter(
        (0, 0, 0, 0),
        "The part of the images that the network sees: x and y of its upper left corner, width and "
        "height, in pixels. Results are in pixels of the whole image. [0, 0, 0, 0]: all of it. "
        "`front.roi` is that of the camera `front` alone.",
        expected="x, y, width and height, or four zeros",
        accepts=_is_region,
        at_run_time=True,
    )
    ignore_mask: str = parameter(
        "",
        "Path of a picture of the images' shape, whose white pixels count as nothing, such as the "
        "robot's own gripper. Empty: none. `front.ignore_mask` is that of the camera `front` "
        "alone.",
        expected="a path, or nothing",
        is_path=True,
        at_run_time=True,
    )
    autostart: bool = parameter(True, "Configure and activate the node when it starts.")
    overlay_opacity: float = parameter(
        0.45,
        "Opacity of the mask colours in `~/overlay`.",
        name="overlay.opacity",
        minimum=0.0,
        maximum=1.0,
        at_run_time=True,
    )
    overlay_boxes: bool = parameter(
        True, "Draw bounding boxes in `~/overlay`.", name="overlay.boxes", at_run_time=True
    )
    overlay_labels: bool = parameter(
        True, "Draw class names and scores in `~/overlay`.", name="overlay.labels", at_run_time=True
    )
    overlay_contours: bool = parameter(
        True, "Draw mask outlines in `~/overlay`.", name="overlay.contours", at_run_time=True
    )
    overlay_jpeg_quality: int = parameter(
        85,
        "Quality of the JPEG in `~/overlay/compressed`; the smaller, the fewer bytes.",
        name="overlay.jpeg_quality",
        minimum=1,
        maximum=100,
        at_run_time=True,
    )
    space_max_skew: float = parameter(
        0.02,
        "Maximum difference in seconds between the stamps of an image and of its depth image (0: "
        "they must be equal).",
        name="space.max_skew",
        minimum=0.0,
        maximum=10.0,
        at_run_time=True,
    )
    space_max_wait: float = parameter(
        0.2,
        "Maximum time in seconds that objects and points wait for their depth image, after the "
        "results that need no depth were published.",
        name="space.max_wait",
        minimum=0.0,
        maximum=10.0,
        at_run_time=True,
    )
    space_rectified: bool = parameter(
        False,
        "The images are rectified: they follow the projection matrix `p` of camera_info, not `k` "
        "with the distortion `d`.",
        name="space.rectified",
    )
    space_up: tuple[float, ...] = parameter(
        (0.0, 0.0, 0.0),
        "Direction against gravity in the camera's frame, of any length: boxes in space are "
        "upright. [0.0, 0.0, 0.0]: not known, boxes are along the camera's axes.",
        name="space.up",
        expected="three numbers",
        accepts=_is_direction,
        at_run_time=True,
    )
    space_target_frame: str = parameter(
        "",
        "Frame of the objects, found by TF at the image's stamp; its z axis is up. Empty: the "
        "image's frame.",
        name="space.target_frame",
    )
    space_organized: bool = parameter(
        False,
        "`~/points` has a point for each pixel, as an image has, not those of the instances alone.",
        name="space.organized",
        at_run_time=True,
    )

    track: bool = parameter(
        True,
        "Give things a number that stays from image to image, as long as somebody subscribes to "
        "what shows it.",
        at_run_time=True,
    )
    track_buffer: float = parameter(
        3.0,
        "How long a thing that is not seen keeps its number, in seconds; images farther apart than "
        "that have nothing to do with each other.",
        name="track.buffer",
        minimum=0.0,
        maximum=600.0,
        at_run_time=True,
    )
    track_start_score: float = parameter(
        0.5,
        "Minimum score for a thing to get a number; it keeps it with lower scores.",
        name="track.start_score",
        minimum=0.0,
        maximum=1.0,
        at_run_time=True,
    )
    track_high_score: float = parameter(
        0.4,
        "Score from which on an instance may be a thing that was lost; what scores less, down to "
        "score_threshold, is only looked at where something was in the image before.",
        name="track.high_score",
        minimum=0.0,
        maximum=1.0,
        at_run_time=True,
    )
    track_duplicate_iou: float = parameter(
        0.35,
        "Mask IoU above which two instances, whatever their classes, show the same thing; the one "
        "of lower score gets no number.",
        name="track.duplicate_iou",
        minimum=0.0,
        maximum=1.0,
        at_run_time=True,
    )

    of_cameras: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Settings:
        """Make the settings from checked values by parameter name."""
        return cls().changed(values)

    def changed(self, values: Mapping[str, Any]) -> Settings:
        """Return the settings with other checked values, by parameter name."""
        known = {spec.name for spec in PARAMETERS}
        fields = {name.replace(".", "_"): values[name] for name in values.keys() & known}
        of_cameras = {name: values[name] for name in values.keys() - known}
        return replace(self, **fields, of_cameras={**self.of_cameras, **of_cameras})

    def roi_of(self, camera: str) -> tuple[int, ...]:
        """Return the camera's own region, or else that of all."""
        own: tuple[int, ...] = self.of_cameras.get(f"{camera}.roi", ())
        return own if any(own) else self.roi

    def ignore_mask_of(self, camera: str) -> tuple[str, str]:
        """Return the name and the value of the parameter that says what the camera ignores."""
        name = f"{camera}.ignore_mask"
        own = self.of_cameras.get(name)
        return (name, own) if own else ("ignore_mask", self.ignore_mask)


PARAMETERS = table_of(Settings)
"""The table, row by row."""


def camera_parameters(cameras: Sequence[str]) -> tuple[ParameterSpec, ...]:
    """Return the rows that each camera has for itself, such as `front.roi`."""
    rows = [spec for spec in PARAMETERS if spec.name in ("roi", "ignore_mask")]
    return tuple(
        replace(spec, name=f"{camera}.{spec.name}", description=f"As {spec.name}, of this camera.")
        for camera in cameras
        for spec in rows
    )
