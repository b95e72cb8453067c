# SPDX-License-Identifier: Apache-2.0
"""Metadata of a file of `yolact-ros export`, and the names of its inputs and outputs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from yolact_ros import __version__
from yolact_ros.checkpoints import CheckpointError
from yolact_ros.checkpoints.checkpoint import describe_preset
from yolact_ros.checkpoints.reading import DEFINITION_KEY
from yolact_ros.choices import FILE_PRECISIONS
from yolact_ros.errors import InputError, expect_one_of
from yolact_ros.inference.decode import CANDIDATE_THRESHOLD
from yolact_ros.inference.options import SegmenterOptions
from yolact_ros.presets import Preset, preset_from_json

FORMAT = "1"
"""Version of the metadata; increased when older files can no longer be read."""

INPUT = "images"
PROTOTYPES = "prototypes"
RAW_OUTPUTS = ("offsets", "class_scores", "coefficients", PROTOTYPES)
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
_CALIBRATION_KEY = "calibration"


@dataclass(frozen=True)
class ExportedFile:
    """The contents of an exported file.

    Attributes:
        preset: Architecture, classes, normalisation and input size.
        precision: Arithmetic of the network, one of `yolact_ros.choices.FILE_PRECISIONS`; inputs
            and outputs are float32.
        options: Which detections the decoded outputs hold; None for a file without them.
        calibration: Of a network in INT8, how it was quantised, as JSON holds it; None of others.
    """

    preset: Preset
    precision: str
    options: SegmenterOptions | None
    calibration: Mapping[str, Any] | None = None

    def metadata(self) -> dict[str, str]:
        """The text entries to write into the file."""
        preset = self.preset
        entries = {
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
        }
        if self.options is not None:
            entries[_OPTIONS_KEY] = json.dumps(dataclasses.asdict(self.options))
        if self.calibration is not None:
            entries[_CALIBRATION_KEY] = json.dumps(self.calibration)
        return entries

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], path: str | Path) -> ExportedFile:
        """Read the entries of a file.

        Raises:
            CheckpointError: Another program wrote them, or a version with another format.
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
            options = None
            if _OPTIONS_KEY in metadata:
                fields = json.loads(metadata[_OPTIONS_KEY])
                options = SegmenterOptions(**{**fields, "classes": tuple(fields["classes"])})
            precision = metadata[_PRECISION_KEY]
            expect_one_of("precision", precision, FILE_PRECISIONS)
            preset = preset_from_json(metadata[DEFINITION_KEY])
            calibration = json.loads(metadata.get(_CALIBRATION_KEY, "null"))
            return cls(preset, precision, options, calibration)
        except (ValueError, KeyError, TypeError) as error:
            raise CheckpointError(f"weights: {path}: metadata cannot be read: {error}") from error


def expect_precision(asked: str, own: str, others: Sequence[str] = ()) -> None:
    """Check the precision asked of a network that has its own.

    Args:
        asked: What was asked for.
        own: Its arithmetic, which "auto" takes.
        others: What its engine may compute in, too.

    Raises:
        InputError: It is neither.
    """
    expected = ("auto", own, *(other for other in others if other != own))
    if asked not in expected:
        also = "".join(f", or {other} in this engine" for other in expected[2:])
        raise InputError(
            f"precision: expected auto or {own}, which the exported file has{also}, got {asked!r}"
        )
