# SPDX-License-Identifier: Apache-2.0
"""Clusters in depth: which parts of a mask's core may be one object.

A gate about one median depth would cut the far half of bowls, rings and long things, and a fixed
gap would part a mug's rim from its inside. So the lengths here are shares of the object's own.

Depths are counted in bins of a quarter of a gap. A bin is dense if it has, together with those up
to a gap before or behind it, more than next to no samples; pixels at edges, which mix two depths,
are fewer. A cluster is a run of dense bins without a gap.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from yolact_ros.space.samples import Samples

GAP = 0.2
"""Depth with next to no samples that parts two clusters, as a share of the object's length."""

MIN_GAP = 0.012  # metres
FEW = 0.02
"""Share of a core that is next to none."""

REACH = 0.8
"""How far from the largest cluster another one may lie, as a share of the length."""

MIN_SHARE = 0.12
"""Share of the core that another cluster must have: what masks take from behind has less."""

BINS_A_GAP = 4
BINS = 160
"""Bins about the core's median: 20 gaps to each side."""


def main_clusters(samples: Samples) -> npt.NDArray[np.bool_]:
    """The largest cluster of each core, with those that may be a part of the object: (N, P)."""
    gaps = np.maximum(MIN_GAP, GAP * samples.lengths)
    numbers = samples.core.sum(axis=1)
    offsets = (samples.points[:, 2] - samples.medians[:, None]) * (BINS_A_GAP / gaps)[:, None]
    places = np.floor(offsets).clip(-BINS, BINS).astype(np.int64) + BINS // 2
    within = samples.core & (places >= 0) & (places < BINS)
    places = places.clip(0, BINS - 1) + BINS * np.arange(len(samples))[:, None]
    counts = np.bincount(places[within], minlength=len(samples) * BINS)
    counts = counts.reshape(len(samples), BINS)
    reaches = REACH * samples.lengths / gaps * BINS_A_GAP
    chosen = _chosen_bins(counts, FEW * numbers, MIN_SHARE * numbers, reaches)
    return within & chosen.reshape(-1).take(places)


def _chosen_bins(
    counts: npt.NDArray[np.int64],
    few: npt.NDArray[np.float64],
    least: npt.NDArray[np.float64],
    reaches: npt.NDArray[np.float64],
) -> npt.NDArray[np.bool_]:
    """The bins of the largest cluster and of those with enough members within its reach.

    Args:
        counts: (N, BINS) samples.
        few: (N,) samples within a gap that are next to none.
        least: (N,) members that a cluster must have beside the largest.
        reaches: (N,) bins.
    """
    rows = np.arange(len(counts))[:, None]
    dense = _dense_bins(counts, few[:, None])
    bins = np.arange(BINS)[None]
    last = np.maximum.accumulate(np.where(dense, bins, -BINS), axis=1)
    begins = dense.copy()
    begins[:, 1:] &= bins[:, 1:] - last[:, :-1] > BINS_A_GAP
    number = np.cumsum(begins, axis=1)  # of a row's clusters, from 1

    shape = (len(counts), BINS + 1)
    members = np.zeros(shape, np.int64)
    np.add.at(members, (np.broadcast_to(rows, dense.shape)[dense], number[dense]), counts[dense])
    first, end = (
        np.full(shape, 9 * BINS),
        np.full(shape, 9 * BINS),
    )  # far from all where there is none
    row, place = np.nonzero(dense)
    end[row, number[row, place]] = place
    first[row[::-1], number[row, place][::-1]] = place[::-1]

    largest = members.argmax(axis=1)[:, None]
    apart = np.maximum(first - end[rows, largest], first[rows, largest] - end)
    belongs = (apart <= reaches[:, None]) & (members >= least[:, None])
    belongs |= (np.arange(BINS + 1) == largest) & (members > 0)
    return belongs[rows, number] & dense


def _dense_bins(counts: npt.NDArray[np.int64], few: npt.NDArray) -> npt.NDArray[np.bool_]:
    """Bins with samples, and more than few within a gap before or behind them, themselves too."""
    total = np.zeros((len(counts), BINS + 2 * BINS_A_GAP - 1), np.int64)
    np.cumsum(counts, axis=1, out=total[:, BINS_A_GAP : BINS_A_GAP + BINS])
    total[:, BINS_A_GAP + BINS :] = total[:, BINS_A_GAP + BINS - 1, None]
    up_to, before = total[:, BINS_A_GAP : BINS_A_GAP + BINS], total[:, BINS_A_GAP - 1 : -BINS_A_GAP]
    near = up_to - total[:, :BINS]
    far = total[:, 2 * BINS_A_GAP - 1 :] - before
    return (counts > 0) & (np.maximum(near, far) > few)
