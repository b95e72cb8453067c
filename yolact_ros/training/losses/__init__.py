# SPDX-License-Identifier: Apache-2.0
"""The losses of YOLACT and YOLACT++: predictions and targets in, one scalar per term out.

`multibox` puts them together; read it first. `prior_matching` decides which prior is compared with
which object; `class_loss`, `mask_loss` and `mask_iou_loss` are the terms that need more than a few
lines; `mask_targets` resizes the true masks to what the network predicts.
"""
