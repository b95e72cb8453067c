# SPDX-License-Identifier: Apache-2.0
"""The table of encodings: how the pixels of each lie in a message, and how they are read."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from fractions import Fraction

import cv2

from yolact_ros.recordings.images.bounds import ImageError

COLOR, GRAY, BAYER, YUV422, YUV_SEMIPLANAR, YUV_PLANAR = (
    *("colour", "grey", "Bayer", "YUV 4:2:2"),
    *("YUV, two planes", "YUV, three planes"),
)


@dataclass(frozen=True)
class Encoding:
    """One row of the table.

    Attributes:
        kind: COLOR, GRAY, BAYER, YUV422, YUV_SEMIPLANAR or YUV_PLANAR.
        channels: Samples of a pixel in a row of the first plane.
        sample: NumPy's type of a sample, without its byte order.
        order: Order of the first three channels, "rgb" or "bgr", as far as it is a COLOR.
        code: OpenCV's conversion to BGR of the others but GRAY, once samples have 8 bits.
        planes: Rows of data for each row of pixels.
        even: What (width, height) must be multiples of.
    """

    kind: str
    channels: int = 1
    sample: str = "u1"
    order: str = "bgr"
    code: int = -1
    planes: Fraction = Fraction(1)
    even: tuple[int, int] = (1, 1)

    @property
    def pixel_bytes(self) -> int:
        """Bytes of a pixel in a row of the first plane."""
        return self.channels * int(self.sample[1:])

    def check_even(self, name: str, height: int, width: int) -> None:
        """Refuse a size in which some pixels would have no colour.

        Raises:
            ImageError: It is such a size.
        """
        columns, rows = self.even
        if width % columns or height % rows:
            both = " and height" if rows == 2 else ""
            raise ImageError(
                f"odd size, {name}",
                f"image: expected an even width{both} for {name}, got {width} x {height}",
            )


def _bayer(code: int, sample: str = "u1") -> Encoding:
    return Encoding(BAYER, sample=sample, code=code, even=(2, 2))


def _packed(code: int) -> Encoding:
    return Encoding(YUV422, channels=2, code=code, even=(2, 1))


# OpenCV names a Bayer pattern after its second row and column, ROS after its first.
_RGGB, _BGGR = cv2.COLOR_BayerBG2BGR, cv2.COLOR_BayerRG2BGR
_GBRG, _GRBG = cv2.COLOR_BayerGR2BGR, cv2.COLOR_BayerGB2BGR
_YUYV, _YVYU, _UYVY = cv2.COLOR_YUV2BGR_YUY2, cv2.COLOR_YUV2BGR_YVYU, cv2.COLOR_YUV2BGR_UYVY
_420, _422, _444 = Fraction(3, 2), Fraction(2), Fraction(3)
_NV12 = Encoding(YUV_SEMIPLANAR, code=cv2.COLOR_YUV2BGR_NV12, planes=_420, even=(2, 2))
_NV21 = Encoding(YUV_SEMIPLANAR, code=cv2.COLOR_YUV2BGR_NV21, planes=_420, even=(2, 2))
# OpenCV has no conversion of these: their chroma is brought into the place that it has in 4:2:2.
_NV16 = Encoding(YUV_SEMIPLANAR, code=_YUYV, planes=_422, even=(2, 1))
_NV61 = Encoding(YUV_SEMIPLANAR, code=_YVYU, planes=_422, even=(2, 1))
_NV24 = Encoding(YUV_SEMIPLANAR, code=_YUYV, planes=_444, even=(2, 1))
_NV42 = Encoding(YUV_SEMIPLANAR, code=_YVYU, planes=_444, even=(2, 1))
_I420 = Encoding(YUV_PLANAR, code=cv2.COLOR_YUV2BGR_I420, planes=_420, even=(2, 2))
_YV12 = Encoding(YUV_PLANAR, code=cv2.COLOR_YUV2BGR_YV12, planes=_420, even=(2, 2))

ENCODINGS = {
    "rgb8": Encoding(COLOR, channels=3, order="rgb"),
    "bgr8": Encoding(COLOR, channels=3),
    "rgba8": Encoding(COLOR, channels=4, order="rgb"),
    "bgra8": Encoding(COLOR, channels=4),
    "mono8": Encoding(GRAY),
    "8UC1": Encoding(GRAY),
    "8UC2": Encoding(GRAY, channels=2),
    "8UC3": Encoding(COLOR, channels=3),
    "8UC4": Encoding(COLOR, channels=4),
    "rgb16": Encoding(COLOR, channels=3, sample="u2", order="rgb"),
    "bgr16": Encoding(COLOR, channels=3, sample="u2"),
    "rgba16": Encoding(COLOR, channels=4, sample="u2", order="rgb"),
    "bgra16": Encoding(COLOR, channels=4, sample="u2"),
    "mono16": Encoding(GRAY, sample="u2"),
    "16UC2": Encoding(GRAY, channels=2, sample="u2"),
    "16UC3": Encoding(COLOR, channels=3, sample="u2"),
    "16UC4": Encoding(COLOR, channels=4, sample="u2"),
    "32FC2": Encoding(GRAY, channels=2, sample="f4"),
    "32FC3": Encoding(COLOR, channels=3, sample="f4"),
    "32FC4": Encoding(COLOR, channels=4, sample="f4"),
    "64FC2": Encoding(GRAY, channels=2, sample="f8"),
    "64FC3": Encoding(COLOR, channels=3, sample="f8"),
    "64FC4": Encoding(COLOR, channels=4, sample="f8"),
    "bayer_rggb8": _bayer(_RGGB),
    "bayer_bggr8": _bayer(_BGGR),
    "bayer_gbrg8": _bayer(_GBRG),
    "bayer_grbg8": _bayer(_GRBG),
    "bayer_rggb16": _bayer(_RGGB, "u2"),
    "bayer_bggr16": _bayer(_BGGR, "u2"),
    "bayer_gbrg16": _bayer(_GBRG, "u2"),
    "bayer_grbg16": _bayer(_GRBG, "u2"),
    **dict.fromkeys(("yuyv", "yuv422_yuy2", "yuy2", "yuyv422", "YUYV", "YUY2"), _packed(_YUYV)),
    **dict.fromkeys(("uyvy", "yuv422", "uyvy422", "UYVY"), _packed(_UYVY)),
    **dict.fromkeys(("yvyu", "yvyu422", "YVYU"), _packed(_YVYU)),
    **dict.fromkeys(("nv12", "NV12"), _NV12),
    **dict.fromkeys(("nv21", "NV21"), _NV21),
    **dict.fromkeys(("nv16", "NV16"), _NV16),
    **dict.fromkeys(("nv61", "NV61"), _NV61),
    **dict.fromkeys(("nv24", "NV24"), _NV24),
    **dict.fromkeys(("nv42", "NV42"), _NV42),
    **dict.fromkeys(("i420", "yuv420", "yuv420p", "iyuv", "I420", "IYUV"), _I420),
    **dict.fromkeys(("yv12", "YV12"), _YV12),
}
"""By name: those of sensor_msgs/image_encodings.hpp, and the FourCC codes of YUV in either case."""

DEPTH_ENCODINGS = ("16UC1", "32FC1", "64FC1")
"""What depth images are encoded as (REP 118): never pictures."""

_OTHER_NAMES = {
    **dict.fromkeys(("gray8", "grey8", "gray", "grey", "y8", "y800", "l8"), "mono8"),
    **dict.fromkeys(("gray16", "grey16", "y16", "l16"), "mono16"),
    **{"rgb24": "rgb8", "rgb888": "rgb8", "bgr24": "bgr8", "bgr888": "bgr8"},
}
_CV_TYPE = re.compile(r"\d+[USF]C\d*")
_EXAMPLES = "rgb8, bgr8, mono8, mono16, bayer_rggb8, yuyv, uyvy, nv12, i420"


def encoding_named(name: str) -> Encoding:
    """Return the row of the table.

    Raises:
        ImageError: It has none, with the nearest name if one is near.
    """
    if name in ENCODINGS:
        return ENCODINGS[name]
    if name in DEPTH_ENCODINGS:
        raise depth_error(name)
    shown = name[:64]
    meant = _OTHER_NAMES | {known.lower(): known for known in sorted(ENCODINGS)}
    near = difflib.get_close_matches(shown.strip().lower(), meant, n=1)
    typed = _CV_TYPE.fullmatch(name)  # right, but not of a picture
    hint = f"; did you mean '{meant[near[0]]}'?" if near and not typed else ""
    raise ImageError(
        f"unknown encoding {name[:32]}",
        f"image: expected an encoding such as {_EXAMPLES} (docs/images.md lists all), got "
        f"{shown!r}{hint}",
    )


def depth_error(encoding: str) -> ImageError:
    """Return what is said of a depth image where a picture should be."""
    return ImageError(
        f"depth image, {encoding}",
        f"image: expected a picture in colour or grey, got {encoding}, a depth image; remap image "
        "to the colour camera and depth to this one (an infrared or thermal camera's pictures are "
        "mono16)",
    )
