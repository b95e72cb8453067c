# SPDX-License-Identifier: Apache-2.0
"""Trains networks: two COCO data sets and `TrainingOptions` in, a folder of weights and logs out.

`train` in `trainer` is the way through it; read it first, then along a run:

- `options`, `recipe`: what was asked for, and how networks are trained;
- `starting_weights`: what a network begins with;
- `data/`: images and annotations to augmented samples and batches;
- `losses/`: predictions and targets to the terms of the loss;
- `module`: one training step, as Lightning calls it;
- `validation`, `callbacks`, `loggers`: measures the network, keeps the best weights, logs;
- `processes`: which of several this one is;
- `last_checkpoint`: what a run goes on from, and what ends it;
- `opening`, `changes`, `run_folder`, `plots`, `preview`: what is written to repeat, resume and look
  at a run.
"""
