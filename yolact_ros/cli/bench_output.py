# SPDX-License-Identifier: Apache-2.0
"""Files of what was measured."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_json(path: Path | None, result: Mapping[str, Any]) -> None:
    """Writes the measurements to a file, if there is to be one.

    Every list of numbers stands in one line: a curve of ages has a hundred.
    """
    if path:
        text = json.dumps(result, indent=1, default=str) + "\n"
        text = re.sub(r"\[[\s\d.,+e-]+\]", lambda found: " ".join(found[0].split()), text)
        write_file(path, text.encode())


def write_file(path: Path, content: bytes) -> None:
    """Writes a file, and the folders it stands in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
