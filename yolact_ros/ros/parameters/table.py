# SPDX-License-Identifier: Apache-2.0
"""The parameters of the node `yolact`: the only table, and the settings made from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from yolact_ros.choices import (
    ENGINES,
    NMS_KINDS,
    PRECISIONS,
    RESCORING_KINDS,
    RESIZE_KINDS,
    TRANSPORTS,
)
from yolact_ros.presets import preset_names
from yolact_ros.ros.parameters.reading import (
    BOOLEAN,
    FLOAT,
    INTEGER,
    STRING,
    STRINGS,
    ParameterSpec,
)

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")
_CAMERA = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

PARAMETERS: tuple[ParameterSpec, ...] = (
    ParameterSpec(
        name="preset",
        kind=STRING,
        default="",
        expected=f"nothing, or one of {', '.join(preset_names())}",
        accepts=lambda text: text in ("", *preset_names()),
        description="Network and class list. Empty: those the weights were made for, or "
        "yolact_demo if no weights are given.",
    ),
    ParameterSpec(
        name="weights",
        kind=STRING,
        default="",
        expected="a path, or nothing for the weights that are shipped or downloaded",
        description="Path of the network's weights. Empty: the weights downloaded for the preset, "
        "or those of yolact_demo, with a warning.",
    ),
    ParameterSpec(
        name="class_names",
        kind=STRINGS,
        default=(),
        expected="a list of class names",
        description="Classes the weights were trained on, ordered by id. Needed only if neither "
        "the preset nor the file lists them.",
    ),
    ParameterSpec(
        name="engine",
        kind=STRING,
        default="torch",
        choices=ENGINES,
        description="Runtime that executes the network. For onnxruntime, `weights` is a file "
        "written by `yolact-ros export`.",
    ),
    ParameterSpec(
        name="device",
        kind=STRING,
        default="auto",
        expected="auto, cpu, cuda or cuda:N",
        accepts=lambda text: _DEVICE.fullmatch(text) is not None,
        description="Device that runs the network. auto: the GPU if there is one.",
    ),
    ParameterSpec(
        name="precision",
        kind=STRING,
        default="auto",
        choices=PRECISIONS,
        description="Arithmetic of the network. auto: fp16 on a GPU; on a CPU, bf16 if it has AMX,"
        " else fp32.",
    ),
    ParameterSpec(
        name="resize",
        kind=STRING,
        default="square",
        choices=RESIZE_KINDS,
        description="How images are resized to the network's input. square: stretched to a square,"
        " as published; fit: aspect ratio kept.",
    ),
    ParameterSpec(
        name="compile",
        kind=BOOLEAN,
        default=False,
        description="Run the network through torch.compile. Faster on a CPU, but configuring the "
        "node takes about a minute and needs a C++ compiler.",
    ),
    ParameterSpec(
        name="score_threshold",
        kind=FLOAT,
        default=0.15,
        minimum=0.0,
        maximum=1.0,
        at_run_time=True,
        description="Minimum score; instances below it are not published.",
    ),
    ParameterSpec(
        name="max_instances",
        kind=INTEGER,
        default=100,
        minimum=1,
        maximum=1000,
        at_run_time=True,
        description="Maximum number of instances per image; those with the highest scores are "
        "kept.",
    ),
    ParameterSpec(
        name="nms",
        kind=STRING,
        default="fast",
        choices=NMS_KINDS,
        at_run_time=True,
        description="How duplicates are suppressed. fast: Fast NMS within each class; cross_class:"
        " Fast NMS across all classes; exact: greedy NMS within each class.",
    ),
    ParameterSpec(
        name="nms_iou",
        kind=FLOAT,
        default=0.5,
        minimum=0.0,
        maximum=1.0,
        at_run_time=True,
        description="Box IoU above which the lower-scoring of two instances is suppressed as a "
        "duplicate.",
    ),
    ParameterSpec(
        name="rescoring",
        kind=STRING,
        default="published",
        choices=RESCORING_KINDS,
        at_run_time=True,
        description="How YOLACT++ uses the predicted mask IoU. published: reported in `mask_score`"
        " beside the class score; product: the score is their product; class: not predicted.",
    ),
    ParameterSpec(
        name="classes",
        kind=STRINGS,
        default=(),
        expected="a list of class names",
        at_run_time=True,
        description="Names of the classes to report. Empty: all classes.",
    ),
    ParameterSpec(
        name="image_transport",
        kind=STRING,
        default="raw",
        choices=TRANSPORTS,
        description="raw: subscribe to sensor_msgs/Image on `image`; compressed: to "
        "sensor_msgs/CompressedImage on `image/compressed`.",
    ),
    ParameterSpec(
        name="cameras",
        kind=STRINGS,
        default=(),
        expected="a list of different names of letters, digits and _ that begin with no digit",
        accepts=lambda names: (
            len(set(names)) == len(names) and all(_CAMERA.fullmatch(name) for name in names)
        ),
        description="Names of the cameras that share the network: `front` is read from "
        "`front/image` and its results are published under `~/front/`. Empty: one camera, on "
        "`image`.",
    ),
    ParameterSpec(
        name="batch_wait",
        kind=FLOAT,
        default=0.005,
        minimum=0.0,
        maximum=10.0,
        at_run_time=True,
        description="With `cameras`: maximum time in seconds that an image waits for images "
        "expected from other cameras, to share a batch with them.",
    ),
    ParameterSpec(
        name="max_batch",
        kind=INTEGER,
        default=0,
        minimum=0,
        maximum=1000,
        at_run_time=True,
        description="With `cameras`: maximum batch size; the images that have waited longest go "
        "first. 0: one image per camera.",
    ),
    ParameterSpec(
        name="max_rate",
        kind=FLOAT,
        default=0.0,
        minimum=0.0,
        maximum=1000.0,
        at_run_time=True,
        description="Maximum processing rate per camera, in Hz (0: unlimited). With `cameras`, "
        "limits batches per second.",
    ),
    ParameterSpec(
        name="max_image_age",
        kind=FLOAT,
        default=0.0,
        minimum=0.0,
        maximum=3600.0,
        at_run_time=True,
        description="Maximum age of an image in seconds, by its stamp; older images are dropped "
        "(0: unlimited).",
    ),
    ParameterSpec(
        name="max_image_pixels",
        kind=INTEGER,
        default=7680 * 4320,
        minimum=1,
        at_run_time=True,
        description="Maximum number of pixels per image; larger images are refused, which bounds "
        "memory use.",
    ),
    ParameterSpec(
        name="autostart",
        kind=BOOLEAN,
        default=True,
        description="Configure and activate the node when it starts.",
    ),
    ParameterSpec(
        name="overlay.opacity",
        kind=FLOAT,
        default=0.45,
        minimum=0.0,
        maximum=1.0,
        at_run_time=True,
        description="Opacity of the mask colours in `~/overlay`.",
    ),
    ParameterSpec(
        name="overlay.boxes",
        kind=BOOLEAN,
        default=True,
        at_run_time=True,
        description="Draw bounding boxes in `~/overlay`.",
    ),
    ParameterSpec(
        name="overlay.labels",
        kind=BOOLEAN,
        default=True,
        at_run_time=True,
        description="Draw class names and scores in `~/overlay`.",
    ),
    ParameterSpec(
        name="overlay.contours",
        kind=BOOLEAN,
        default=True,
        at_run_time=True,
        description="Draw mask outlines in `~/overlay`.",
    ),
)


@dataclass(frozen=True)
class Settings:
    """Checked values of the parameters: the field of `overlay.opacity` is `overlay_opacity`."""

    preset: str
    weights: str
    class_names: tuple[str, ...]
    engine: str
    device: str
    precision: str
    resize: str
    compile: bool
    score_threshold: float
    max_instances: int
    nms: str
    nms_iou: float
    rescoring: str
    classes: tuple[str, ...]
    image_transport: str
    cameras: tuple[str, ...]
    batch_wait: float
    max_batch: int
    max_rate: float
    max_image_age: float
    max_image_pixels: int
    autostart: bool
    overlay_opacity: float
    overlay_boxes: bool
    overlay_labels: bool
    overlay_contours: bool

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> Settings:
        """Make the settings from checked values by parameter name."""
        by_field = {name.replace(".", "_"): value for name, value in values.items()}
        return cls(**{field.name: by_field[field.name] for field in fields(cls)})
