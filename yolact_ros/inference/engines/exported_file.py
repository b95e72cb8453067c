# SPDX-License-Identifier: Apache-2.0
"""What a file of `yolact-ros export` says of itself, and the names of what goes in and out."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from yolact_ros import __version__
from yolact_ros.checkpoints.checkpoint import DEFINITION_KEY, CheckpointError, describe_preset
from yolact_ros.choices import EXPORT_PRECISIONS
from yolact_ros.errors import InputError
from yolact_ros.inference.decode import CANDIDATE_THRESHOLD
from yolact_ros.inference.options import SegmenterOptions
from yolact_ros.presets import Preset, preset_from_json

SUFFIXES = (".onnx", ".pt2")
FORMAT = "1"
"""Raised when files of before can no longer be read."""

INPUT = "images"
RAW_OUTPUTS = ("offsets", "class_scores", "coefficients", "prototypes")
"""Those of `RawPredictions` that depend on the image."""
PRIORS = "priors"
DECODED_OUTPUTS = ("boxes", "scores", "class_ids", "detection_coefficients")
MASK_SCORES = "mask_scores"
MASK_IOU_INPUT = "mask_iou_net.masks"
MASK_IOU_OUTPUT = "mask_iou_net.scores"
"""Tensors within the ONNX graph between which the mask-IoU net lies; not among its outputs."""

_FORMAT_KEY = "yolact_ros_export"
_PRECISION_KEY = "precision"
_OPTIONS_KEY = "options"


@dataclass(frozen=True)
class ExportedFile:
    """What an exported file holds.

    Attributes:
        preset: Architecture, classes, normalisation and input size.
        precision: Arithmetic of the network, "fp32" or "fp16"; inputs and outputs are fp32.
        options: Which detections the decoded outputs are.
    """

    preset: Preset
    precision: str
    options: SegmenterOptions

    def metadata(self) -> dict[str, str]:
        """The text entries that stand in the file."""
        preset = self.preset
        return {
            _FORMAT_KEY: FORMAT,
            "yolact_ros_version": __version__,
            **describe_preset(preset),
            "class_names": json.dumps(preset.class_names),
            "input_size": str(preset.input_size),
            "channel_order": "rgb",
            "mean": json.dumps(preset.normalization.mean),
            "std": json.dumps(preset.normalization.std),
            "candidate_threshold": json.dumps(CANDIDATE_THRESHOLD),
            _PRECISION_KEY: self.precision,
            _OPTIONS_KEY: json.dumps(dataclasses.asdict(self.options)),
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], path: str | Path) -> ExportedFile:
        """Reads the entries of a file.

        Raises:
            CheckpointError: They are another program's, or of another version's format.
        """
        found = metadata.get(_FORMAT_KEY)
        if found is None:
            raise CheckpointError(
                f"weights: expected a file of `yolact-ros export`, got {path}, which another "
                "program wrote: it does not say its preset"
            )
        if found != FORMAT:
            raise CheckpointError(
                f"weights: {path}: expected export format {FORMAT}, got {found}: another version "
                "of yolact_ros wrote it; export it again"
            )
        try:
            options = json.loads(metadata[_OPTIONS_KEY])
            options["classes"] = tuple(options["classes"])
            precision = metadata[_PRECISION_KEY]
            if precision not in EXPORT_PRECISIONS:
                raise InputError(f"precision: expected one of {', '.join(EXPORT_PRECISIONS)}")
            preset = preset_from_json(metadata[DEFINITION_KEY])
            return cls(preset, precision, SegmenterOptions(**options))
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"weights: {path}: metadata cannot be read: {error}") from error
