# SPDX-License-Identifier: Apache-2.0
"""Deterministic synthetic weights and test images for YOLACT parity checks.

Everything here is plain integer arithmetic (SplitMix64) followed by exact IEEE-754
double operations and one final rounding to float32, so the numbers are bit-identical
on every platform, numpy version and (if ported) every language.  Only numpy + hashlib.

    fill(key, shape, salt='', tune=None) -> numpy array for one state_dict entry
    fill_state(entries, config, salt='') -> {key: array} for [[key, shape, dtype], ...]
    make_image(i)                        -> BGR uint8 image number i (0, 1, 2)
"""

import hashlib
import math
import re

import numpy as np

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)
_16 = np.uint64(0xFFFF)


def _seed(text):
    """First 8 bytes (little endian) of sha256(text) as an unsigned 64-bit integer."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8")).digest()[:8], "little")


def splitmix64(seed, n, start=0):
    """Outputs number start .. start+n-1 of the SplitMix64 stream with this seed."""
    with np.errstate(over="ignore"):
        i = np.arange(start + 1, start + n + 1, dtype=np.uint64)
        z = np.uint64(seed) + i * _GOLDEN
        z = (z ^ (z >> np.uint64(30))) * _M1
        z = (z ^ (z >> np.uint64(27))) * _M2
        return z ^ (z >> np.uint64(31))


def bell_int(seed, n, start=0):
    """int64 bell-shaped integers: sum of the four 16-bit lanes of each output, minus 131070.
    Mean 0, variance (2**32 - 1) / 3, range +-131070 (+-3.46 sigma)."""
    z = splitmix64(seed, n, start)
    s = (
        (z & _16)
        + ((z >> np.uint64(16)) & _16)
        + ((z >> np.uint64(32)) & _16)
        + (z >> np.uint64(48))
    )
    return s.astype(np.int64) - 131070


_SIGMA = math.sqrt(4294967295.0 / 3.0)  # standard deviation of bell_int

# (config, salt) -> (gain of the class head, logit added to background).  Chosen so that a
# moderate number of priors pass the 0.05 confidence threshold on the synthetic images, and so
# that no score or IoU lies within about 3e-4 of a decision threshold.
CONF_TUNE = {
    ("yolact_resnet50", ""): (5.81, 19.5),
    ("yolact_plus_resnet50", ""): (9.61, 29.09),
    ("yolact_base", ""): (2.55, 14.19),
    ("yolact_darknet53", ""): (4.94, 21.11),
    ("yolact_resnet50_pascal", ""): (4.38, 12.87),
    ("yolact_plus_base", ""): (4.63, 23.18),
    ("yolact_im400", ""): (3.54, 18.68),
    ("yolact_im700", ""): (2.52, 15.02),
}
CONF_DEFAULT = (1.0, 6.0)


def _gain(key):
    """He-style gain of a convolution weight: std = gain / sqrt(fan_in)."""
    if "conv_offset_mask" in key:
        return 0.9  # offsets of roughly half a pixel, up to a few pixels
    if key.startswith("backbone."):
        if key.endswith(".conv3.weight"):
            return 0.7  # end of a ResNet bottleneck branch
        if re.search(r"\.conv2\.0\.weight$", key):
            return 0.7  # end of a DarkNet residual branch
        return math.sqrt(2.0)
    if "fpn.lat_layers" in key:
        return 0.7
    if key == "proto_net.10.weight":  # the prototypes themselves
        return 3.0
    if "mask_layer" in key:
        return 2.0
    if "bbox_layer" in key:
        return 1.5
    if "conf_layer" in key:
        return 1.0  # times the CONF_TUNE gain
    if "semantic_seg_conv" in key:
        return 1.0
    if key.startswith("maskiou_net."):
        return 1.9
    return math.sqrt(2.0)


def fill(key, shape, salt="", tune=None):
    shape = tuple(int(s) for s in shape)
    n = int(np.prod(shape, dtype=np.int64)) if shape else 1
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    seed = _seed(salt + "|" + key)
    k = bell_int(seed, n)
    leaf = key.rsplit(".", 1)[1]

    if leaf == "running_mean":
        v = k * (0.1 / _SIGMA)
    elif leaf == "running_var":
        v = 1.0 + np.abs(k) * (0.1 / _SIGMA)
    elif leaf == "weight" and len(shape) == 1:  # batch norm scale
        v = 1.0 + k * (0.1 / _SIGMA)
    elif leaf == "weight":
        fan_in = n // shape[0]
        k2 = k.reshape(shape[0], fan_in)
        # Every filter but the very first one is made zero-sum (mean computed on exact
        # integers), which keeps deep random features from collapsing to a constant.
        if shape[1] != 3 and not key.startswith("maskiou_net."):
            k2 = k2 - k2.sum(axis=1, keepdims=True) / float(fan_in)
        v = k2 * (_gain(key) / math.sqrt(fan_in) / _SIGMA)
    elif leaf == "bias":
        is_bn = (
            key.startswith("backbone.")
            and "conv2.bias" not in key
            and "conv_offset_mask" not in key
        )
        v = k * ((0.1 if is_bn else 0.03 if key.startswith("maskiou_net.") else 0.01) / _SIGMA)
    else:
        raise KeyError(key)
    v = np.asarray(v, np.float64).reshape(shape)

    if key.endswith("bbox_layer.bias"):
        v[2::4] += 4.0  # boxes about exp(0.2 * 4) = 2.2 times their anchors
        v[3::4] += 4.0
    if key.endswith("mask_layer.bias"):
        v += 0.15  # a few more positive than negative mask pixels
    if key == "maskiou_net.maskiou_net.10.bias":
        v += 0.1  # keep about half of the classes off the final ReLU's floor
    if "conf_layer" in key:
        gain, background = tune or CONF_DEFAULT
        v = v * gain
        if leaf == "bias":
            # 3 or 9 priors per cell, each with num_classes logits, background first.
            # num_classes is 81 or 21: pick the one that divides.
            nc = 81 if shape[0] % 81 == 0 else 21
            v[0::nc] += background
    return v.astype(np.float32)


def fill_state(entries, config, salt=""):
    tune = CONF_TUNE.get((config, salt), CONF_DEFAULT)
    return {e[0]: fill(e[0], e[1], salt, tune) for e in entries}


# --------------------------------------------------------------------------- images

IMAGE_SIZES = [(480, 640), (375, 500), (720, 1280)]  # (height, width)


def make_image(i, shapes=14):
    """BGR uint8 image: two-colour gradient, filled ellipses and rectangles (some striped),
    plus noise of +-12 grey levels.  Integer arithmetic only."""
    h, w = IMAGE_SIZES[i]
    seed = _seed(f"image|{i}")
    it = iter(splitmix64(seed, 4096).tolist())

    def rnd(lo, hi):  # lo <= r < hi
        return lo + (next(it) >> 11) % (hi - lo)

    yy, xx = np.mgrid[0:h, 0:w].astype(np.int64)
    img = np.empty((h, w, 3), np.int64)
    for c in range(3):
        a, b, d = rnd(20, 200), rnd(20, 200), rnd(-60, 60)
        img[:, :, c] = a + (b - a) * xx // w + d * yy // h
    for _ in range(shapes):
        cx, cy = rnd(0, w), rnd(0, h)
        rx, ry = rnd(w // 40, w // 5), rnd(h // 40, h // 4)
        kind, stripe = rnd(0, 3), rnd(0, 3)
        dx, dy = xx - cx, yy - cy
        if kind == 0:
            inside = (np.abs(dx) <= rx) & (np.abs(dy) <= ry)
        elif kind == 1:
            inside = (dx * ry) ** 2 + (dy * rx) ** 2 <= (rx * ry) ** 2
        else:  # diamond
            inside = np.abs(dx) * ry + np.abs(dy) * rx <= rx * ry
        if stripe == 1:
            inside &= ((xx + yy) // 6) % 2 == 0
        elif stripe == 2:
            inside &= (yy // 9) % 2 == 0
        for c in range(3):
            img[:, :, c][inside] = rnd(0, 256)
    noise = (splitmix64(seed ^ 0x5DEECE66D, h * w * 3) >> np.uint64(40)).astype(np.int64) % 25 - 12
    return np.clip(img + noise.reshape(h, w, 3), 0, 255).astype(np.uint8)


def sample_indices(n, count=64):
    """The fixed flat (C order) positions at which fingerprints are sampled."""
    return (np.arange(count, dtype=np.int64) * 2654435761 + 12345) % n
