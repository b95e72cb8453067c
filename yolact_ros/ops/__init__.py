# SPDX-License-Identifier: Apache-2.0
"""Pure tensor functions: boxes, non-maximum suppression, masks."""
