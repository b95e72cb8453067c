# SPDX-License-Identifier: Apache-2.0
"""Peak memory of the stages after the network, on the host."""

from __future__ import annotations

import ctypes
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from yolact_ros.errors import InputError
from yolact_ros.inference.assemble import assemble_instances
from yolact_ros.inference.preprocess import Preprocessor
from yolact_ros.network import build_network
from yolact_ros.presets import Preset
from yolact_ros.structures import Detections

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"  # proc(5): sets the peak resident set size to the current one


class PeakMemory(NamedTuple):
    """Peak resident memory in MB (10^6 bytes) above what the process held before.

    Attributes:
        preprocess: Image to network input.
        network: The network's own, its weights not counted.
        masks: Masks of all instances, assembled and packed, with everything that is kept of them.
        packed: Bytes of the packed masks alone.
    """

    preprocess: float
    network: float
    masks: float
    packed: float


def measure_peak_memory(
    preset: Preset, image_size: tuple[int, int], instances: int, box_area: float
) -> PeakMemory:
    """Measures the stages of one image with a given number of instances, on the CPU in FP32.

    Args:
        preset: Its network gets random weights: memory does not depend on them.
        image_size: (height, width) in pixels.
        instances: Number of detections to make masks of, whatever the network found.
        box_area: Area of each one's square-ish box as a fraction of the image, above 0 up to 1.

    Raises:
        ValueError: A value is out of range, or the system's peak cannot be reset (Linux's can).
    """
    if not (0 < box_area <= 1 and instances >= 1):
        raise InputError(
            "expected at least 1 instance with a box area above 0 up to 1, "
            f"got {instances} with {box_area}"
        )
    image = np.random.default_rng(0).integers(0, 256, (*image_size, 3), dtype=np.uint8)
    network = build_network(preset).eval().to(memory_format=torch.channels_last)
    preprocessor = Preprocessor(preset, torch.device("cpu"), torch.float32)
    with torch.inference_mode():
        before = reset_peak_memory()
        x = preprocessor([image], "bgr")
        preprocess_peak = peak_memory() - before
        before = reset_peak_memory()
        predictions = network(x)
        network_peak = peak_memory() - before
        prototypes = predictions.prototypes[0].float()
        detections = _spread_detections(prototypes.shape[2], instances, box_area)
        before = reset_peak_memory()
        found = assemble_instances(detections, None, prototypes, image_size, preset.class_names)
        masks_peak = peak_memory() - before
    packed = sum(mask.data.nbytes for mask in found.packed_masks)
    return PeakMemory(preprocess_peak / 1e6, network_peak / 1e6, masks_peak / 1e6, packed / 1e6)


def _spread_detections(coefficients: int, count: int, box_area: float) -> Detections:
    generator = torch.Generator().manual_seed(0)
    side = math.sqrt(box_area)
    corners = torch.rand(count, 2, generator=generator) * (1 - side)
    return Detections(
        boxes=torch.cat([corners, corners + side], dim=1),
        scores=torch.linspace(1, 0.5, count),
        class_ids=torch.zeros(count, dtype=torch.int64),
        coefficients=torch.randn(count, coefficients, generator=generator),
    )


def reset_peak_memory() -> int:
    """Sets the peak to the current resident set size and returns that, in bytes.

    Raises:
        ValueError: The system does not let it be set.
    """
    # What the allocator keeps of earlier stages would hide what the next one needs.
    if trim := getattr(ctypes.CDLL(None), "malloc_trim", None):
        trim(0)
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except OSError as error:
        raise InputError(f"expected a Linux whose {_CLEAR} can be written: {error}") from error
    return _status("VmRSS")


def peak_memory() -> int:
    """Largest resident set size since it was last set, in bytes."""
    return _status("VmHWM")


def held_memory() -> dict[str, int]:
    """Resident bytes: all, and those that belong to no file.

    The system takes pages of files (of libraries, such as torch's) back as it likes; what a leak
    makes grow is the rest.

    Raises:
        ValueError: The system does not say.
    """
    return {"resident": _status("VmRSS"), "without_files": _status("RssAnon")}


def _status(field: str) -> int:
    for line in _STATUS.read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise InputError(f"expected {field} in {_STATUS}, found none")
