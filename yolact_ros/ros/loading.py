# SPDX-License-Identifier: Apache-2.0
"""Loads the network that the parameters describe; takes seconds to import, because of torch."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

from yolact_ros.inference import Segmenter, SegmenterOptions
from yolact_ros.ros.parameters.table import Settings


def load_segmenter(settings: Settings, cameras: int) -> Segmenter:
    """Load the network and run every batch size that will come once, in a thread that ends.

    GNU OpenMP keeps a pool of threads for every thread that ever used it, and with more of them
    than cores, all sleep between operations: on two cores the network took half as long again in
    the worker's thread when the calling thread had run it before.

    Args:
        settings: The parameters.
        cameras: The number of cameras, which bounds the size of a batch.

    Raises:
        InputError: A parameter has a value that the network does not allow, or the weights do not
            fit.
        OSError: The weights cannot be read.
    """
    with ThreadPoolExecutor(max_workers=1) as alone:
        return alone.submit(_load, settings, cameras).result()


def segmenter_options(settings: Settings) -> SegmenterOptions:
    """Return the parameters that are options of the segmenter; they have the same names."""
    names = [field.name for field in dataclasses.fields(SegmenterOptions)]
    return SegmenterOptions(**{name: getattr(settings, name) for name in names})


def _load(settings: Settings, cameras: int) -> Segmenter:
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
    most = min(cameras, settings.max_batch or cameras)
    # The first run is slow on a GPU; with `compile`, the first run of each size is.
    for batch in range(1, most + 1) if settings.compile else sorted({1, most}):
        segmenter.warm_up(batch=batch)
    return segmenter
