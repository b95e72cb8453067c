# SPDX-License-Identifier: Apache-2.0
"""Matching, losses, data for training, and the trainer."""
