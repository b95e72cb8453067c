# SPDX-License-Identifier: Apache-2.0
"""How often images with rare classes are shown: repeat-factor sampling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from yolact_ros.datasets.coco import CocoImage


def repeat_factors(images: Sequence[CocoImage], threshold: float) -> npt.NDArray[np.float64]:
    """Compute how often each image is shown in a pass, on average.

    As in appendix B.2 of Gupta, Dollár and Girshick, "LVIS" (CVPR 2019, arXiv:1908.03195v2): a
    class that a fraction f of the images has gets r = max(1, sqrt(threshold / f)), an image the
    largest r of its classes. Crowds do not count.

    Args:
        images: Of the training data.
        threshold: Fraction of the images below which a class is rare, 0 to 1; the paper has 0.001.

    Returns:
        (len(images),) 1 or more; 1 for an image without objects.
    """
    classes = [{thing.class_id for thing in image.objects if not thing.crowd} for image in images]
    counts = Counter(class_id for found in classes for class_id in found)
    rare = {
        class_id: max(1.0, (threshold * len(images) / count) ** 0.5)
        for class_id, count in counts.items()
    }
    return np.array([max((rare[class_id] for class_id in found), default=1.0) for found in classes])


def pass_order(
    factors: npt.NDArray[np.float64] | None, images: int, rng: np.random.Generator
) -> npt.NDArray[np.int64]:
    """Draw the order of one pass over the images.

    An image is in it as often as its factor says, rounded up or down at random such that all passes
    have the same length (systematic sampling).

    Args:
        factors: Of `repeat_factors`; None: each image once.
        images: Number of images.
        rng: Source of the order.

    Returns:
        (ceil(sum of the factors),) numbers of images.
    """
    if factors is None:
        return rng.permutation(images)
    ends = np.cumsum(factors)
    length = int(np.ceil(ends[-1] - 1e-6))
    points = (rng.random() + np.arange(length)) * (ends[-1] / length)
    chosen = np.minimum(np.searchsorted(ends, points, side="right"), images - 1)
    return rng.permutation(chosen)
