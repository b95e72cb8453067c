# SPDX-License-Identifier: Apache-2.0
"""Settings of a benchmark, made of its options, and the files of what it measured."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

Settings = TypeVar("Settings")


def settings_of(kind: type[Settings], arguments: argparse.Namespace, **others: Any) -> Settings:
    """Makes settings, a dataclass, of the options that have the names of its fields."""
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    given = {name: value for name, value in vars(arguments).items() if name in names}
    return kind(**given | others)


def write_result(arguments: argparse.Namespace, result: Mapping[str, Any], plot: str) -> None:
    """Writes the files of --json and --picture, which a function of `bench.plots` draws."""
    if arguments.json:
        write_json(arguments.json, result)
    if arguments.picture:
        from yolact_ros.bench import plots  # matplotlib

        _write(arguments.picture, getattr(plots, plot)(result))


def write_json(path: Path, result: Mapping[str, Any]) -> None:
    """Writes every list of numbers in one line: a curve of ages has a hundred."""
    text = json.dumps(result, indent=1, default=str) + "\n"
    text = re.sub(r"\[[\s\d.,+e-]+\]", lambda found: " ".join(found[0].split()), text)
    _write(path, text.encode())


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
