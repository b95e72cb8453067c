# SPDX-License-Identifier: Apache-2.0
"""Training data: a `CocoDataset` in, batches of augmented images and `Target`s out.

Read in this order: `target` (what the losses need of an image), `training_set` (from an image to a
sample and a batch), `augmentation` (the strengths) and `transforms` (what they do), `bit_planes`
(how masks travel through the transforms), `copy_paste`, `loading` (which sample is made for which
step) and `workers` (what the processes need that make them).
"""
