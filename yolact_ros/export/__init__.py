# SPDX-License-Identifier: Apache-2.0
"""Networks as files that run without this package."""

from .export import FORMATS, export_network

__all__ = ["FORMATS", "export_network"]
