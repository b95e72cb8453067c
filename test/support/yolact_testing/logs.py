# SPDX-License-Identifier: Apache-2.0
"""A logger that keeps what it is told."""


class Recorder:
    """Takes the place of a node's logger; `lines` has every warning and error."""

    def __init__(self):
        self.lines = []

    def warning(self, text):
        self.lines.append(text)

    error = warning
