# SPDX-License-Identifier: Apache-2.0
"""Presets as JSON, for the metadata of weights files."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
import typing
from typing import Any

from yolact_ros.errors import InputError

from .preset import BackboneSpec, DarkNetSpec, Preset, ResNetSpec, TorchvisionSpec

_KINDS: dict[str, type] = {
    "resnet": ResNetSpec,
    "darknet": DarkNetSpec,
    "torchvision": TorchvisionSpec,
}
_KIND_OF = {spec: kind for kind, spec in _KINDS.items()}


def preset_to_json(preset: Preset) -> str:
    """All fields of a preset as one line of JSON, which `preset_from_json` reads.

    The backbone carries its kind as "kind": "resnet", "darknet" or "torchvision".
    """
    backbone = {"kind": _KIND_OF[type(preset.backbone)], **dataclasses.asdict(preset.backbone)}
    return json.dumps({**dataclasses.asdict(preset), "backbone": backbone}, allow_nan=False)


def preset_from_json(text: str) -> Preset:
    """The preset that `preset_to_json` wrote; fields that are left out take their defaults.

    Raises:
        InputError: It is no JSON, or a field is unknown, missing or of the wrong type or value.
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"preset: expected JSON, got {text[:40]!r} ({error})") from error
    preset: Preset = _decode(value, Preset, "preset")
    return preset


def _decode(value: Any, expected: Any, where: str) -> Any:
    """Checks a JSON value against a field's type and turns it into that type."""
    if expected == BackboneSpec:
        return _decode_backbone(value, where)
    if typing.get_origin(expected) is tuple:
        return _decode_tuple(value, typing.get_args(expected), where)
    if type(None) in typing.get_args(expected):
        return None if value is None else _decode(value, typing.get_args(expected)[0], where)
    if dataclasses.is_dataclass(expected):
        return _decode_dataclass(value, typing.cast(type, expected), where)
    if expected is float and _is_number(value):
        return value
    if expected in (str, int, bool) and type(value) is expected:
        return value
    name = "finite number" if expected is float else expected.__name__
    raise InputError(f"{where}: expected {name}, got {_shown(value)}")


def _decode_backbone(value: Any, where: str) -> Any:
    if not isinstance(value, dict) or value.get("kind") not in [*_KINDS]:
        raise InputError(
            f'{where}: expected an object with "kind", one of {", ".join(_KINDS)}, '
            f"got {_shown(value)}"
        )
    fields = {name: item for name, item in value.items() if name != "kind"}
    return _decode_dataclass(fields, _KINDS[value["kind"]], where)


def _decode_tuple(value: Any, items: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise InputError(f"{where}: expected a list, got {_shown(value)}")
    if len(items) == 2 and items[1] is Ellipsis:
        items = (items[0],) * len(value)
    if len(items) != len(value):
        raise InputError(f"{where}: expected {len(items)} items, got {len(value)}")
    return tuple(
        _decode(item, kind, f"{where}[{index}]")
        for index, (item, kind) in enumerate(zip(value, items, strict=True))
    )


def _decode_dataclass(value: Any, expected: type, where: str) -> Any:
    if not isinstance(value, dict):
        raise InputError(f"{where}: expected an object, got {_shown(value)}")
    hints = typing.get_type_hints(expected)
    if unknown := sorted(value.keys() - hints.keys()):
        raise InputError(
            f"{where}: unknown fields {', '.join(unknown)}; a later version may have written this"
        )
    required = {
        f.name
        for f in dataclasses.fields(expected)
        if f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
    }
    if missing := sorted(required - value.keys()):
        raise InputError(f"{where}: missing fields {', '.join(missing)}")
    return expected(
        **{name: _decode(item, hints[name], f"{where}.{name}") for name, item in value.items()}
    )


def _is_number(value: Any) -> bool:
    # bool is an int too; an integer that is no float overflows in the first calculation with it.
    if type(value) is int:
        return bool(abs(value) <= sys.float_info.max)
    return type(value) is float and math.isfinite(value)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
