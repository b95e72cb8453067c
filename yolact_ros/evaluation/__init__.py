# SPDX-License-Identifier: Apache-2.0
"""How good a network is: COCO's box and mask AP on a data set, speed, memory, and a report."""
