# SPDX-License-Identifier: Apache-2.0
"""Enlarges, thresholds and packs masks on the CPU, inside their boxes.

Prototype rows are enlarged along x as a small matrix product. Between two of them values are
linear, so a column crosses the threshold at most once: where few columns do, the packed signs of
prototype rows are repeated up to the crossings, and no image pixel has a value computed. Otherwise
the image pixels are a broadcast product and comparison, packed while they lie in the cache. No mask
is ever held as pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .crop import MASK_THRESHOLD, PackedMasks, crop_ranges

CROSSING_FROM = 1 << 15
"""Values of prototype rows from which on it pays to look for crossings first."""
CROSSING_SHARE = 0.03
"""Of those values: with more crossings than this it costs less to compute all image pixels."""
NEAR = 0.01
"""Image rows between a crossing and a row whose own value is computed to tell its side, so that
rounding is that of the interpolation itself."""
COLUMNS = 128
"""Image columns of one matrix product: the matrix of a whole axis is mostly zeros."""
TOGETHER = 16
"""Masks whose logits are computed at a time."""
WHOLE_FROM = 0.3
"""Mean share of the prototypes in the crops of such masks from which on one matrix product, which
reads the prototypes once for all, beats one product a mask."""
VALUES_HELD = 1 << 16
"""Image pixels whose values are held at a time, so that they stay in the processor's cache."""

Floats = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]


class Axis(NamedTuple):
    """Where the image's pixels lie between the prototype pixels of one axis.

    A cell is the space between the centres of two prototype pixels; cell c begins at that of c,
    and there is one before the first.

    Attributes:
        size: Prototype pixels.
        image_size: Image pixels.
        cells: (image_size,) cell of each image pixel, from -1 on.
        weights: (image_size,) float32 position in the cell: the share of its second pixel.
        starts: (size + 2,) first image pixel of each cell, from cell -1 on.
        depth: Most image pixels of a cell.
        cell_weights: (size + 1, depth) float32 `weights` by cell, from cell -1 on; 0 where a cell
            has fewer pixels.
        places: (image_size,) index of each image pixel in the flattened `cell_weights`.
        matrix: (size + 2, image_size) float32 shares of each image pixel: of the prototype pixels
            with one more on either side.
    """

    size: int
    image_size: int
    cells: npt.NDArray[np.int64]
    weights: Floats
    starts: npt.NDArray[np.int64]
    depth: int
    cell_weights: Floats
    places: npt.NDArray[np.int64]
    matrix: Floats

    @classmethod
    def between(cls, size: int, image_size: int) -> Axis:
        """The axis of `size` prototype pixels enlarged to `image_size` image pixels."""
        # In single precision: as whole columns may lie on the threshold, its rounding shows.
        half, scale = np.float32(0.5), np.float32(size) / np.float32(image_size)
        source = (np.arange(image_size, dtype=np.float32) + half) * scale - half
        below = np.floor(source)
        cells = below.astype(np.int64)
        weights = source - below
        starts = np.searchsorted(cells, np.arange(-1, size + 1))
        matrix = np.zeros((size + 2, image_size), np.float32)
        pixels = np.arange(image_size)
        matrix[cells + 1, pixels] = 1 - weights
        matrix[cells + 2, pixels] = weights
        depth = int(np.diff(starts).max())
        places = (cells + 1) * depth + pixels - starts[cells + 1]
        cell_weights = np.zeros((size + 1, depth), np.float32)
        cell_weights.reshape(-1)[places] = weights
        return cls(size, image_size, cells, weights, starts, depth, cell_weights, places, matrix)

    def image_range(self, first: int, last: int) -> tuple[int, int]:
        """Image pixels that prototype pixels first <= c < last alone can set: their own area.

        Beyond it the cropped neighbours, which are 0, weigh half or more. Where the image has no
        pixel there (it is smaller than the prototypes), the range is empty.
        """
        low = max(first * self.image_size // self.size, int(self.starts[first]))
        high = min(-(-last * self.image_size // self.size), int(self.starts[last + 1]))
        return low, high


def assemble_on_cpu(
    prototypes: Tensor, coefficients: Tensor, boxes: Tensor, image_size: tuple[int, int]
) -> PackedMasks:
    """Assemble masks as `yolact_ros.ops.masks.assemble_masks` does, of tensors on the CPU."""
    height, width, _ = prototypes.shape
    columns = Axis.between(width, image_size[1])
    rows = Axis.between(height, image_size[0])
    values = prototypes.detach().float().contiguous().numpy()
    weights = coefficients.detach().float().numpy()
    rectangles = np.zeros((len(boxes), 5), np.int64)
    pieces = [np.zeros(0, np.uint8)]
    start = 0
    ranges = crop_ranges(boxes.detach(), (height, width)).tolist()
    for i, logits in enumerate(crop_logits(values, weights, ranges)):
        x1, x2, y1, y2 = ranges[i]
        *rectangle, bits = pack_mask(logits, columns, rows, (x1, x2), (y1, y2))
        rectangles[i] = *rectangle, start
        pieces.append(bits.reshape(-1))
        start += bits.size
    return PackedMasks(torch.from_numpy(rectangles), torch.from_numpy(np.concatenate(pieces)))


def crop_logits(
    prototypes: Floats, coefficients: Floats, ranges: Sequence[Sequence[int]]
) -> Iterator[Floats]:
    """Logits of the masks inside their crops, one mask after the other.

    Args:
        prototypes: (h, w, k) float32.
        coefficients: (N, k) float32.
        ranges: (N, 4) x_first, x_last, y_first, y_last in prototype pixels.
    """
    height, width, count = prototypes.shape
    for start in range(0, len(ranges), TOGETHER):
        group = ranges[start : start + TOGETHER]
        weights = coefficients[start : start + TOGETHER]
        area = sum((x2 - x1) * (y2 - y1) for x1, x2, y1, y2 in group)
        whole = None
        if area > WHOLE_FROM * height * width * len(group):
            whole = _product(weights, prototypes.reshape(-1, count).T).reshape(-1, height, width)
        for i, (x1, x2, y1, y2) in enumerate(group):
            if whole is None:
                yield _product(prototypes[y1:y2, x1:x2], weights[i])
            else:
                yield whole[i, y1:y2, x1:x2]


def _product(one: Floats, other: Floats) -> Floats:
    """Multiply matrices; what is too large is infinite or no number, as in torch."""
    with np.errstate(over="ignore", invalid="ignore"):
        product: Floats = one @ other
    return product


def pack_mask(
    logits: Floats,
    columns: Axis,
    rows: Axis,
    x_range: tuple[int, int],
    y_range: tuple[int, int],
) -> tuple[int, int, int, int, Bytes]:
    """Assembles one mask inside its crop, at image resolution.

    Args:
        logits: Of the prototype pixels in the crop, from `crop_logits`.
        columns, rows: Axes of the whole image.
        x_range, y_range: Prototype columns and rows first <= c < last that the crop keeps.

    Returns:
        x offset, y offset, width, height of the tight rectangle, and its rows as bits
        (height, ceil(width / 8)) uint8; zeros and an empty array for a mask without a pixel.
    """
    left, right = columns.image_range(*x_range)
    top, bottom = rows.image_range(*y_range)
    if left >= right or top >= bottom:
        return 0, 0, 0, 0, np.zeros((0, 0), np.uint8)
    padded = _threshold(logits, columns.size, rows.size, x_range, y_range)
    wide = _enlarge(padded, columns, x_range[0], left, right)
    return trim(_pack_rows(wide, rows, y_range[0], top, bottom), left, top)


def _threshold(
    logits: Floats, width: int, height: int, x_range: tuple[int, int], y_range: tuple[int, int]
) -> Floats:
    """Sigmoid minus the threshold, with a pixel more around: cropped, or the border's again."""
    padded = np.zeros((logits.shape[0] + 2, logits.shape[1] + 2), np.float32)
    with np.errstate(over="ignore"):  # exp(-x) of a very negative logit: infinite, its mask 0
        values = np.exp(-logits)
    values += 1
    np.reciprocal(values, out=values)
    np.fmax(values, np.float32(0), out=padded[1:-1, 1:-1])  # 0 for what is not a number
    if x_range[0] == 0:
        padded[:, 0] = padded[:, 1]
    if x_range[1] == width:
        padded[:, -1] = padded[:, -2]
    if y_range[0] == 0:
        padded[0] = padded[1]
    if y_range[1] == height:
        padded[-1] = padded[-2]
    padded -= np.float32(MASK_THRESHOLD)
    return padded


def _enlarge(padded: Floats, columns: Axis, first: int, left: int, right: int) -> Floats:
    """(rows, prototype columns) to (rows, image columns, a multiple of 8), negative at the end."""
    width = right - left
    wide = np.empty((len(padded), -(-width // 8) * 8), np.float32)
    wide[:, width:] = -1
    for start in range(0, width, COLUMNS):
        end = min(start + COLUMNS, width)
        low = int(columns.cells[left + start]) + 1
        high = int(columns.cells[left + end - 1]) + 3
        matrix = columns.matrix[low:high, left + start : left + end]
        np.matmul(padded[:, low - first : high - first], matrix, out=wide[:, start:end])
    return wide


def _pack_rows(wide: Floats, rows: Axis, first: int, top: int, bottom: int) -> Bytes:
    """(cells + 1, width) values of prototype rows to (image rows, width / 8) bits."""
    if wide.size >= CROSSING_FROM:
        positive = wide > 0
        change = positive[:-1] != positive[1:]
        if np.count_nonzero(change) < CROSSING_SHARE * wide.size:
            crossings = np.flatnonzero(change)
            return _repeat_signs(wide, positive, crossings, rows, first, top, bottom)
    places = rows.places[top:bottom] - first * rows.depth
    return _compare_all(wide, rows, first).reshape(-1, wide.shape[1] // 8)[places]


def _compare_all(wide: Floats, rows: Axis, first: int) -> Bytes:
    """(cells, depth, width / 8) bits: the values of all image pixels are computed."""
    count, width = len(wide) - 1, wide.shape[1]
    weights = rows.cell_weights[first : first + count, :, None]  # (cells, depth, 1)
    change = np.diff(wide, axis=0)[:, None]
    limit = np.negative(wide[:-1])[:, None]
    bits = np.empty((count, rows.depth, width // 8), np.uint8)
    step = max(VALUES_HELD // (rows.depth * width), 1)
    for start in range(0, count, step):
        part = slice(start, start + step)
        above = change[part] * weights[part] > limit[part]  # (cells, depth, width)
        bits[part] = np.packbits(above).reshape(-1, rows.depth, width // 8)
    return bits


def _repeat_signs(
    wide: Floats,
    positive: npt.NDArray[np.bool_],
    crossings: npt.NDArray[np.int64],
    rows: Axis,
    first: int,
    top: int,
    bottom: int,
) -> Bytes:
    """(image rows, width / 8) bits: the sign of the upper prototype row up to its crossing."""
    count, bytes_across = len(wide) - 1, wide.shape[1] // 8
    signs = np.packbits(positive[:-1]).reshape(count, bytes_across)
    bits = signs[rows.cells[top:bottom] + 1 - first]
    if not crossings.size:
        return bits
    # Only the bytes with a crossing differ from the repeated signs.
    byte = crossings >> 3
    begins = np.append(True, byte[1:] != byte[:-1])
    before = np.full((np.count_nonzero(begins), 8), rows.depth, np.int32)
    before[np.cumsum(begins) - 1, crossings & 7] = _rows_before(
        wide, positive, crossings, rows, first
    )
    order = np.arange(rows.depth, dtype=np.int32)[:, None]
    flips = np.packbits(before[:, None] <= order).reshape(-1, rows.depth)
    cell, column = np.divmod(byte[begins], bytes_across)
    start, end = rows.starts[first + cell], rows.starts[first + cell + 1]
    row = start[:, None] + order.T  # (bytes, depth)
    inside = (row >= top) & (row < np.minimum(end, bottom)[:, None])
    column = np.broadcast_to(column[:, None], row.shape)
    bits[row[inside] - top, column[inside]] ^= flips[inside]
    return bits


def _rows_before(
    wide: Floats,
    positive: npt.NDArray[np.bool_],
    crossings: npt.NDArray[np.int64],
    rows: Axis,
    first: int,
) -> Floats:
    """Image rows of a cell on the side of its upper prototype row, for each crossing."""
    count, width = len(wide) - 1, wide.shape[1]
    upper = wide.reshape(-1)[crossings]
    lower = wide.reshape(-1)[crossings + width]
    # The value is 0 at weight upper / (upper - lower), and the weights of a cell's rows are `scale`
    # apart.
    scale = np.float32(rows.image_size / rows.size)
    crossed = upper / (upper - lower) * scale
    per_cell = np.diff(np.searchsorted(crossings, np.arange(count + 1) * width))
    crossed -= np.repeat(rows.cell_weights[first : first + count, 0] * scale, per_cell)
    nearest = np.rint(crossed)
    before = np.floor(crossed) + 1
    near = np.flatnonzero(np.abs(crossed - nearest) < NEAR)
    if near.size:
        row = nearest[near].astype(np.int64) + rows.starts[first + crossings[near] // width]
        weights = rows.weights[row.clip(0, rows.image_size - 1)]
        values = upper[near] * (1 - weights) + lower[near] * weights
        same = (values > 0) == positive.reshape(-1)[crossings[near]]
        before[near] = nearest[near] + same
    return before.clip(0, rows.depth)


def trim(bits: Bytes, left: int, top: int) -> tuple[int, int, int, int, Bytes]:
    """Cuts packed rows to the tight rectangle of their set pixels.

    Args:
        bits: (height, step) uint8, most significant bit first.
        left, top: Image column and row of the first pixel.

    Returns:
        As `pack_mask`.
    """
    columns = np.flatnonzero(np.unpackbits(np.bitwise_or.reduce(bits, axis=0)))
    if columns.size == 0:
        return 0, 0, 0, 0, np.zeros((0, 0), np.uint8)
    rows = np.flatnonzero(np.bitwise_or.reduce(bits, axis=1))
    x, y = int(columns[0]), int(rows[0])
    width, height = int(columns[-1]) + 1 - x, int(rows[-1]) + 1 - y
    byte, shift = x >> 3, x & 7
    step = (width + 7) >> 3
    tight = bits[y : y + height, byte : byte + step]
    if shift:
        following = bits[y : y + height, byte + 1 : byte + 1 + step]
        tight = np.left_shift(tight, shift, dtype=np.uint8)
        tight[:, : following.shape[1]] |= np.right_shift(following, 8 - shift, dtype=np.uint8)
    return left + x, top + y, width, height, tight
