# SPDX-License-Identifier: Apache-2.0
"""Synthetic scenes, datasets and augmentation."""
