# SPDX-License-Identifier: Apache-2.0
"""The parameters of the node `yolact`: the one table, and the settings made from it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from yolact_ros.presets import preset_names
from yolact_ros.ros.parameters.reading import (
    BOOLEAN,
    FLOAT,
    INTEGER,
    STRING,
    STRINGS,
    ParameterSpec,
    markdown,
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
        description="Network and class list; empty: those that the weights were made for, or "
        "yolact_demo without weights.",
    ),
    ParameterSpec(
        name="weights",
        kind=STRING,
        default="",
        expected="a path, or nothing for the weights that are shipped or downloaded",
        description="File of the network's weights; empty: those that were downloaded for the "
        "preset, or those of yolact_demo, with a warning.",
    ),
    ParameterSpec(
        name="class_names",
        kind=STRINGS,
        default=(),
        expected="a list of class names",
        description="The classes that the weights were trained on, in the order of their ids, if "
        "neither the preset nor the file says.",
    ),
    ParameterSpec(
        name="engine",
        kind=STRING,
        default="torch",
        choices=("torch", "onnxruntime"),
        description="What runs the network; onnxruntime: `weights` is a file of `yolact-ros "
        "export`.",
    ),
    ParameterSpec(
        name="device",
        kind=STRING,
        default="auto",
        expected="auto, cpu, cuda or cuda:N",
        accepts=lambda text: _DEVICE.fullmatch(text) is not None,
        description="Where the network runs; auto: the GPU where there is one.",
    ),
    ParameterSpec(
        name="precision",
        kind=STRING,
        default="auto",
        choices=("auto", "fp32", "fp16", "bf16"),
        description="Arithmetic of the network; auto: fp16 on a GPU, on a CPU bf16 if it has AMX, "
        "else fp32.",
    ),
    ParameterSpec(
        name="resize",
        kind=STRING,
        default="square",
        choices=("square", "fit"),
        description="How images are resized to the network's input: to a square, as published, or "
        "with their aspect ratio kept.",
    ),
    ParameterSpec(
        name="compile",
        kind=BOOLEAN,
        default=False,
        description="Whether the network goes through torch.compile: faster on a CPU, but "
        "activation then takes about a minute and needs a C++ compiler.",
    ),
    ParameterSpec(
        name="score_threshold",
        kind=FLOAT,
        default=0.15,
        minimum=0.0,
        maximum=1.0,
        at_run_time=True,
        description="Instances that score less are left out.",
    ),
    ParameterSpec(
        name="max_instances",
        kind=INTEGER,
        default=100,
        minimum=1,
        maximum=1000,
        at_run_time=True,
        description="Most instances in one image, best score first.",
    ),
    ParameterSpec(
        name="nms",
        kind=STRING,
        default="fast",
        choices=("fast", "cross_class", "exact"),
        at_run_time=True,
        description="How duplicates are suppressed: Fast NMS in each class, Fast NMS over all "
        "classes together, or exact greedy NMS in each class.",
    ),
    ParameterSpec(
        name="nms_iou",
        kind=FLOAT,
        default=0.5,
        minimum=0.0,
        maximum=1.0,
        at_run_time=True,
        description="Box IoU above which the worse of two instances is a duplicate.",
    ),
    ParameterSpec(
        name="rescoring",
        kind=STRING,
        default="published",
        choices=("published", "product", "class"),
        at_run_time=True,
        description="What YOLACT++ does with the predicted mask IoU: it stands in `mask_score` "
        "beside the class score, the score is the product of both, or it is not predicted.",
    ),
    ParameterSpec(
        name="classes",
        kind=STRINGS,
        default=(),
        expected="a list of class names",
        at_run_time=True,
        description="Names of the classes to report; empty: all.",
    ),
    ParameterSpec(
        name="image_transport",
        kind=STRING,
        default="raw",
        choices=("raw", "compressed"),
        description="raw: sensor_msgs/Image on `image`; compressed: sensor_msgs/CompressedImage "
        "on `image/compressed`.",
    ),
    ParameterSpec(
        name="cameras",
        kind=STRINGS,
        default=(),
        expected="a list of different names of letters, digits and _ that begin with no digit",
        accepts=lambda names: (
            len(set(names)) == len(names) and all(_CAMERA.fullmatch(name) for name in names)
        ),
        description="Names of several cameras that share the network: `front` is read from "
        "`front/image`, and its results are under `~/front/`; empty: one camera, on `image`.",
    ),
    ParameterSpec(
        name="batch_wait",
        kind=FLOAT,
        default=0.005,
        minimum=0.0,
        maximum=10.0,
        at_run_time=True,
        description="With `cameras`: most that an image waits for those of other cameras that are "
        "expected by then, to be segmented in one batch with them, s.",
    ),
    ParameterSpec(
        name="max_batch",
        kind=INTEGER,
        default=0,
        minimum=0,
        maximum=1000,
        at_run_time=True,
        description="With `cameras`: most images in a batch, those that waited longest first; "
        "0: one of each camera.",
    ),
    ParameterSpec(
        name="max_rate",
        kind=FLOAT,
        default=0.0,
        minimum=0.0,
        maximum=1000.0,
        at_run_time=True,
        description="Most images taken of a camera in a second, Hz, which is with `cameras` the "
        "most batches in a second; 0: as fast as frames come.",
    ),
    ParameterSpec(
        name="max_image_age",
        kind=FLOAT,
        default=0.0,
        minimum=0.0,
        maximum=3600.0,
        at_run_time=True,
        description="Images whose stamp is older when their turn comes are dropped, s; 0: any age.",
    ),
    ParameterSpec(
        name="max_image_pixels",
        kind=INTEGER,
        default=7680 * 4320,
        minimum=1,
        at_run_time=True,
        description="Images with more pixels are refused, so that memory stays bounded.",
    ),
    ParameterSpec(
        name="autostart",
        kind=BOOLEAN,
        default=True,
        description="Whether the node configures and activates itself at the start.",
    ),
    ParameterSpec(
        name="overlay.opacity",
        kind=FLOAT,
        default=0.45,
        minimum=0.0,
        maximum=1.0,
        at_run_time=True,
        description="How much of the mask's colour covers the image in `~/overlay`.",
    ),
    ParameterSpec(
        name="overlay.boxes",
        kind=BOOLEAN,
        default=True,
        at_run_time=True,
        description="Whether `~/overlay` shows boxes.",
    ),
    ParameterSpec(
        name="overlay.labels",
        kind=BOOLEAN,
        default=True,
        at_run_time=True,
        description="Whether `~/overlay` shows class names and scores.",
    ),
    ParameterSpec(
        name="overlay.contours",
        kind=BOOLEAN,
        default=True,
        at_run_time=True,
        description="Whether `~/overlay` shows the masks' outlines.",
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
        """Makes the settings from checked values by parameter name."""
        by_field = {name.replace(".", "_"): value for name, value in values.items()}
        return cls(**{field.name: by_field[field.name] for field in fields(cls)})


def parameters_markdown() -> str:
    """The table of parameters as the README shows it between its two markers."""
    return markdown(PARAMETERS)
