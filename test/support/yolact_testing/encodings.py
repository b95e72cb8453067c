# SPDX-License-Identifier: Apache-2.0
"""Pictures as the bytes of image messages, written out by hand: no library's conversions."""

import numpy as np

_CHANNELS = {
    **{name: "rgb" for name in ("rgb8", "rgb16")},
    **{name: "bgr" for name in ("bgr8", "bgr16", "8UC3", "16UC3", "32FC3", "64FC3")},
    **{name: "rgba" for name in ("rgba8", "rgba16")},
    **{name: "bgra" for name in ("bgra8", "bgra16", "8UC4", "16UC4", "32FC4", "64FC4")},
    **{name: "y" for name in ("mono8", "8UC1", "mono16")},
    **{name: "ya" for name in ("8UC2", "16UC2", "32FC2", "64FC2")},
}
_BAYER = {"rggb": "rg gb", "bggr": "bg gr", "gbrg": "gb rg", "grbg": "gr bg"}
_PACKED = {
    **dict.fromkeys(("yuyv", "yuv422_yuy2", "yuy2", "yuyv422", "YUYV", "YUY2"), "yuyv"),
    **dict.fromkeys(("uyvy", "yuv422", "uyvy422", "UYVY"), "uyvy"),
    **dict.fromkeys(("yvyu", "yvyu422", "YVYU"), "yvyu"),
}
# plane by plane: its samples in turns, and how many pixels across and down share each
_PLANAR = {
    "nv12": (("uv", 2, 2),),
    "nv21": (("vu", 2, 2),),
    "nv16": (("uv", 2, 1),),
    "nv61": (("vu", 2, 1),),
    "nv24": (("uv", 1, 1),),
    "nv42": (("vu", 1, 1),),
    **dict.fromkeys(("i420", "yuv420", "yuv420p", "iyuv"), (("u", 2, 2), ("v", 2, 2))),
    "yv12": (("v", 2, 2), ("u", 2, 2)),
}


def is_planar(encoding):
    return encoding.lower() in _PLANAR


def is_gray(encoding):
    return _CHANNELS.get(encoding, "").startswith("y")


def encoded(picture, encoding, padding=0, big_endian=False):
    """The step and the bytes of a picture (H, W, 3) uint8 RGB whose sides are even.

    16-bit samples use the whole range, floats are 0 to 1. Luma and chroma are those of Rec. 601, 16
    to 235 and 240. Rows of a plane are padded in proportion to their length.
    """
    height = len(picture)
    samples = _samples(picture)
    sample = np.uint8
    if encoding.startswith(("32F", "64F")):
        sample = np.float32 if encoding.startswith("32") else np.float64
    elif "16" in encoding and not is_planar(encoding):
        sample = np.uint16
    if encoding in _CHANNELS:
        planes = [np.dstack([samples[name] for name in _CHANNELS[encoding]]).reshape(height, -1)]
    elif encoding.startswith("bayer_"):
        planes = [_mosaic(samples, _BAYER[encoding[6:10]].split())]
    elif encoding in _PACKED:
        planes = [_in_turns(samples, _PACKED[encoding])]
    else:
        planes = [samples["y"]]
        for names, across, down in _PLANAR[encoding.lower()]:
            shared = [samples[name][::down, ::across] for name in names]
            planes.append(np.dstack(shared).reshape(len(shared[0]), -1))
    data, step = b"", 0
    for plane in planes:
        values = _as_type(plane, sample, big_endian)
        rows = values.view(np.uint8).reshape(len(plane), -1)
        step = step or rows.shape[1] + padding
        row = step * rows.shape[1] // (planes[0].shape[1] * values.itemsize)
        data += np.pad(rows, ((0, 0), (0, row - rows.shape[1])), constant_values=77).tobytes()
    return step, data


def _samples(picture):
    red, green, blue = (picture[..., i].astype(float) for i in range(3))
    y = 16 + (65.481 * red + 128.553 * green + 24.966 * blue) / 255
    u = 128 + (-37.797 * red - 74.203 * green + 112.0 * blue) / 255
    v = 128 + (112.0 * red - 93.786 * green - 18.214 * blue) / 255
    return {"r": red, "g": green, "b": blue, "a": np.full_like(red, 9), "y": y, "u": u, "v": v}


def _mosaic(samples, tile):
    result = np.empty_like(samples["r"])
    for row in (0, 1):
        for column in (0, 1):
            part = np.s_[row::2, column::2]
            result[part] = samples[tile[row][column]][part]
    return result


def _in_turns(samples, names):
    height, width = samples["y"].shape
    result = np.empty((height, width // 2, 4))
    luma = iter((0, 1))
    for i, name in enumerate(names):
        result[..., i] = samples[name][:, (next(luma) if name == "y" else 0) :: 2]
    return result.reshape(height, 2 * width)


def _as_type(plane, sample, big_endian):
    if sample in (np.float32, np.float64):
        values = (plane / 255).astype(sample)
    else:
        values = np.rint(plane).astype(sample) * sample(257 if sample is np.uint16 else 1)
    return values.astype(values.dtype.newbyteorder(">" if big_endian else "<"))
