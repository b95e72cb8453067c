# SPDX-License-Identifier: Apache-2.0
"""How good a network is: COCO box and mask AP, and recall on synthetic scenes."""
