# SPDX-License-Identifier: Apache-2.0
"""Writes measurements as text for people, and to a folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .bounds import bounds
from .figures import Figures, grouped, with_masks
from .measure import Measurement
from .sets import NETWORK, TRUE
from .tables import bounds_table, group_table


def describe_space(measured: Sequence[Measurement]) -> str:
    """All tables: what is asked and reached, then the groups."""
    parts = [bounds_table(bounds(measured))]
    parts += [group_table(title, groups) for title, groups in grouped(measured).items()]
    return "\n\n".join(parts)


def summarize_space(measured: Sequence[Measurement]) -> dict[str, Any]:
    """The same as JSON holds it; None stands for figures of nothing."""
    groups = {
        title: {
            group.name: {
                masks: asdict(Figures.of(with_masks(group.measured, masks)))
                for masks in (TRUE, NETWORK)
            }
            for group in some
        }
        for title, some in grouped(measured).items()
    }
    return {"bounds": [asdict(bound) for bound in bounds(measured)], "groups": _finite(groups)}


def _finite(value: Any) -> Any:
    """The same with None for NaN, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    return None if isinstance(value, float) and value != value else value


def write_space_report(
    measured: Sequence[Measurement], run: Mapping[str, Any], folder: Path
) -> Path:
    """Write a report; files of an earlier one are replaced.

    Args:
        measured: The measurements.
        run: Description of the run.
        folder: Receives ``tables.md``, ``metrics.json`` and ``errors.png``.

    Returns:
        The path of the tables.
    """
    from .plots import groups_plot  # matplotlib, which a machine without a report need not have

    folder.mkdir(parents=True, exist_ok=True)
    metrics = json.dumps({**summarize_space(measured), **run}, indent=1, allow_nan=False)
    (folder / "metrics.json").write_text(metrics + "\n")
    (folder / "errors.png").write_bytes(groups_plot(grouped(measured)))
    path = folder / "tables.md"
    path.write_text(f"{describe_space(measured)}\n", encoding="utf-8")
    return path
