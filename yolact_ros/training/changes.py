# SPDX-License-Identifier: Apache-2.0
"""What a resumed run may change, and what it may not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from yolact_ros.errors import InputError

Changes = dict[str, list[Any]]
"""Values by name of the setting: as it was, and as it is."""

MAY_CHANGE = (
    *("max_steps", "validate_every", "early_stopping"),
    *("learning_rate", "weight_decay", "gradient_clip"),
    *("device", "devices", "nodes", "batch_size", "precision"),  # joined_batch stays
    *("train_sha256", "val_sha256"),  # if the user says so, see `describe_other_data`
)
"""Settings, also of the recipe, that a run may go on with in another way."""


class RunError(InputError):
    """A folder cannot be used for a run."""


def find_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Changes:
    """Compare the settings of a run with those that it is resumed with.

    Args:
        before: Settings as `run.json` has them; those of the recipe are under "recipe",
            and of its augmentation under that.
        now: The same of this start.

    Returns:
        Those that differ and may.

    Raises:
        RunError: Others differ; each is named with both values.
    """
    was, is_now = _flat(before), _flat(now)
    changes = {
        name: [was.get(name), is_now.get(name)]
        for name in sorted({*was, *is_now})
        if was.get(name) != is_now.get(name)
    }
    wrong = {name: values for name, values in changes.items() if name not in MAY_CHANGE}
    if len(wrong) > 1:
        wrong.pop("preset_definition", None)  # follows from others, and is long
    if wrong:
        raise RunError(
            f"resume: expected the settings of the run, got others: {describe_changes(wrong)}; "
            "another run may begin with the weights of this one"
        )
    return changes


def describe_changes(changes: Changes) -> str:
    """The changes in words."""
    return "; ".join(f"{name} was {was!r} and is {now!r}" for name, (was, now) in changes.items())


def describe_other_data(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """Tell which images differ.

    Args:
        before: Digests of the images by file name.
        now: The same of this start.
    """
    differing = [name for name in now if before.get(name) != now[name]]
    if not differing:
        return "the annotations differ"
    named = ", ".join(differing[:3]) + (", ..." if len(differing) > 3 else "")
    return f"{len(differing)} of {len(now)} images differ ({named})"


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        flat |= _flat(value) if isinstance(value, Mapping) else {name: value}
    return flat
