# SPDX-License-Identifier: Apache-2.0
"""Findings as text for people, as JSON for programs, and as an exit status."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from yolact_ros.findings import ERROR, OK, WARNING, Finding

_SHOWN = {OK: "ok", WARNING: "warning", ERROR: "ERROR"}
_INDENT = 33


def as_text(finding: Finding) -> str:
    """A finding as one or two paragraphs of a list."""
    begin = f"{_SHOWN.get(finding.level, '-'):8} {finding.name:23} "
    paragraphs = [begin + finding.found]
    if finding.remedy:
        paragraphs.append(f"{' ' * _INDENT}→ {finding.remedy}")
    indent = " " * _INDENT
    return "\n".join(
        textwrap.fill(
            text, 110, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        )
        for text in paragraphs
    )


def summary(findings: Iterable[Finding]) -> str:
    """How many are wrong, in one line."""
    levels = [finding.level for finding in findings]
    errors, warnings = levels.count(ERROR), levels.count(WARNING)
    return (
        f"{len(levels)} checks, {errors} error{'s' * (errors != 1)}, "
        f"{warnings} warning{'s' * (warnings != 1)}"
    )


def as_json(findings: Iterable[Finding], versions: Mapping[str, str]) -> str:
    """All of it for programs, and for an issue."""
    content = {"findings": [asdict(finding) for finding in findings], "versions": dict(versions)}
    return json.dumps(content, indent=1, ensure_ascii=False)


def exit_code(findings: Iterable[Finding]) -> int:
    """1 if anything does not work; 0 otherwise, also with warnings."""
    return int(any(finding.level == ERROR for finding in findings))
