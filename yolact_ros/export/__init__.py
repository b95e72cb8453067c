# SPDX-License-Identifier: Apache-2.0
"""Networks as files that run without this package."""

from .export import export_network

__all__ = ["export_network"]
