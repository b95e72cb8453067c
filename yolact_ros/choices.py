# SPDX-License-Identifier: Apache-2.0
"""The words that options take, alike for `Segmenter`, the node and the command line."""

from __future__ import annotations

ENGINES = ("torch", "onnxruntime", "openvino")
"""What runs the network."""

ENGINE_CHOICES = ("auto", *ENGINES)
"""The engine asked for; "auto" is decided by the file of weights and the packages installed."""

PRECISIONS = ("auto", "fp32", "tf32", "fp16", "bf16")
"""The network's arithmetic at inference; "auto" is decided by the device. "tf32" is fp32 whose
products are rounded to 10 bits on a GPU, which torch by itself calls fp32 in convolutions."""

TRAINING_PRECISIONS = ("auto", "fp32", "fp16", "bf16")
"""The network's arithmetic in training."""

EXPORT_PRECISIONS = ("fp32", "fp16")
"""The network's arithmetic in a file that `yolact-ros export` writes."""

FILE_PRECISIONS = (*EXPORT_PRECISIONS, "int8")
"""The network's arithmetic in a file that engines read; `yolact-ros quantize` writes "int8"."""

EXPORT_FORMATS = {"onnx": ".onnx", "torch": ".pt2"}
"""The formats of an exported network, with the suffix of their files."""

EXPORT_OPSETS = range(18, 24)
"""ONNX opsets of an exported file; deformable convolution came with 19."""

COMPILE_MODES = ("off", "on", "auto")
"""Whether the network goes through `torch.compile`."""

CHANNEL_ORDERS = ("bgr", "rgb")
"""The order of the colours in an image."""

RESIZE_KINDS = ("square", "fit")
"""How an image becomes the network's input: stretched to a square, or with its aspect ratio."""

NMS_KINDS = ("fast", "cross_class", "exact")
"""How overlapping detections are suppressed; see `yolact_ros.ops.suppression`."""

RESCORING_KINDS = ("published", "product", "class")
"""What YOLACT++'s predicted mask IoU does; see `yolact_ros.inference.SegmenterOptions`."""

TRANSPORTS = ("raw", "compressed")
"""How images reach the node: `sensor_msgs/Image` or `sensor_msgs/CompressedImage`."""

DEPTH_TRANSPORTS = ("raw", "compressedDepth")
"""How depth images reach the node: `sensor_msgs/Image`, or what compressed_depth_image_transport
makes of it."""

RELIABILITIES = ("reliable", "best_effort")
"""What a publisher of images offers."""

RECIPES = ("published", "short")
"""How a network is trained; see `yolact_ros.training.recipe`."""

AUGMENTATIONS = ("published", "light", "none")
"""How training images are changed at random."""

CLASS_LOSSES = ("softmax", "focal")
"""The training loss of the classes."""

FREEZE_NORMS = ("auto", "yes", "no")
"""Whether batch norms keep their statistics in training."""

CHECKPOINTS = ("last", "previous")
"""What a training run goes on from."""

LOGGERS = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow", "comet": "comet-ml"}
"""Where a training run logs to besides its CSV file, with the package that each needs."""

TRAINING_DEVICES = ("auto", "cpu", "cuda")
"""What a network is trained on; which GPUs follows from their number."""

EXTRA_KINDS = ("dumbbell", "mushroom")
"""Kinds of objects in synthetic scenes that the demo's network does not know."""

SCENE_KINDS = ("random", "lanes")
"""Synthetic scenes: things spread on a table, or passing before and behind one another; see
`yolact_ros.scenes.Scene`."""

DEPTH_CAMERAS = ("ideal", "real", "missing", "holes", "fattened", "shifted")
"""Depth cameras of synthetic scenes; see `yolact_ros.scenes.depth_model`."""

LABEL_FORMATS = ("auto", "labelme", "yolo", "voc", "masks")
"""What `dataset import` reads; see `yolact_ros.datasets.formats`."""

SHEET_PICTURES = (".png", ".jpg", ".jpeg")
SHEET_PAGES = (".html", ".htm")
"""Suffixes of the file that `dataset check --out` writes."""
