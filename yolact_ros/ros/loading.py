# SPDX-License-Identifier: Apache-2.0
"""Loads the network that the parameters describe; takes seconds to import, because of torch."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from yolact_ros.inference import Segmenter, SegmenterOptions
from yolact_ros.ros.parameters.table import Settings
from yolact_ros.ros.tuning import for_long


def load_segmenter(
    settings: Settings, cameras: int, on_step: Callable[[str], None] = lambda step: None
) -> Segmenter:
    """Load the network and run every batch size that will come once, in a thread that ends.

    GNU OpenMP keeps a pool of threads for every thread that ever used it, and with more of them
    than cores, all sleep between operations: on two cores the network took half as long again in
    the worker's thread when the calling thread had run it before.

    Args:
        settings: The parameters.
        cameras: The number of cameras, which bounds the size of a batch.
        on_step: Called with what is done next, in words.

    Raises:
        InputError: A parameter has a value that the network does not allow, or the weights do not
            fit.
        OSError: The weights cannot be read.
    """
    with for_long(), ThreadPoolExecutor(max_workers=1) as alone:
        return alone.submit(_load, settings, cameras, on_step).result()


def largest_batch(settings: Settings, cameras: int) -> int:
    """Return the size of the largest batch that will come."""
    return min(cameras, settings.max_batch or cameras)


def segmenter_options(settings: Settings) -> SegmenterOptions:
    """Return the parameters that are options of the segmenter; they have the same names."""
    names = [field.name for field in dataclasses.fields(SegmenterOptions)]
    return SegmenterOptions(**{name: getattr(settings, name) for name in names})


def _load(settings: Settings, cameras: int, on_step: Callable[[str], None]) -> Segmenter:
    on_step("reading the network's weights")
    segmenter = Segmenter(
        preset=settings.preset or None,
        weights=settings.weights or None,
        class_names=settings.class_names,
        engine=settings.engine,
        device=settings.device,
        precision=settings.precision,
        resize=settings.resize,
        compile="on" if settings.compile else "off",
        **dataclasses.asdict(segmenter_options(settings)),
    )
    most = largest_batch(settings, cameras)
    # With `compile`, and on a GPU, which records graphs, the first run of each size is slow.
    each = settings.compile or segmenter.device.type == "cuda"
    for batch in range(1, most + 1) if each else sorted({1, most}):
        verb = "compiling the network for" if settings.compile else "running the network once with"
        on_step(f"{verb} a batch of {batch}")
        segmenter.warm_up(batch=batch)
    return segmenter
