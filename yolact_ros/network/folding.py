# SPDX-License-Identifier: Apache-2.0
"""Convolutions that take in the batch norms and the ReLU behind them, for inference."""

from __future__ import annotations

import copy
import itertools
from typing import TypeVar

import torch
from torch import fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .backbone import ResNetBackbone
from .convolution import ConvolutionRelu, ResidualBlock
from .deformable import DeformableConv2d
from .heads import JoinedHead, PredictionHead
from .residual import BasicBlock, Bottleneck
from .torchvision_backbone import TorchvisionBackbone

_Network = TypeVar("_Network", bound=nn.Module)

# Which batch norm follows which convolution in the `forward` of these.
_RESIDUAL_PAIRS = (("conv1", "bn1"), ("conv2", "bn2"), ("conv3", "bn3"))


def fold_batch_norms(network: _Network) -> _Network:
    """A copy for inference in which convolutions do the work of the batch norms behind them.

    In evaluation mode a batch norm is a fixed scale and shift a channel, which the weight and the
    bias of the convolution before it can carry. A deformable convolution's sampling is left as it
    is: only its weight and bias change. Batch norms that do not follow a convolution alone stay.
    Convolutions and the ReLU behind them become one module, which on a GPU is one kernel, and the
    three outputs of the head one convolution.

    Args:
        network: A `Yolact` or a part of one; left as it is. Fold before converting to half
            precision, so that the products are rounded once.

    Returns:
        The copy, in evaluation mode and without gradients. Its tensors no longer have the names of
        a checkpoint.
    """
    folded = copy.deepcopy(network).eval().requires_grad_(False)
    with torch.no_grad():
        _fold(folded)
        _fuse(folded)
    return folded


def _fold(module: nn.Module) -> None:
    if isinstance(module, TorchvisionBackbone):
        _fold_traced(module.body)
        return
    if isinstance(module, ResNetBackbone | BasicBlock | Bottleneck):
        for convolution, norm in _RESIDUAL_PAIRS:
            _fold_attributes(module, convolution, norm)
    elif isinstance(module, nn.Sequential):
        for convolution, norm in itertools.pairwise(list(module._modules)):
            _fold_attributes(module, convolution, norm)
    for child in module.children():
        _fold(child)


def _fold_attributes(parent: nn.Module, convolution: str, norm: str) -> None:
    """Folds a pair of children if it is one, and puts an identity in the batch norm's place."""
    before, after = getattr(parent, convolution, None), getattr(parent, norm, None)
    if isinstance(before, nn.Conv2d | DeformableConv2d) and isinstance(after, nn.BatchNorm2d):
        # It wants no more of a convolution than its weight and bias.
        setattr(parent, convolution, fuse_conv_bn_eval(before, after))  # type: ignore[type-var]
        setattr(parent, norm, nn.Identity())


def _fuse(module: nn.Module) -> None:
    """Joins convolutions with the ReLU behind them, and the outputs of the head."""
    if isinstance(module, TorchvisionBackbone):
        return
    if isinstance(module, nn.Sequential):
        for name, follower in itertools.pairwise(list(module._modules)):
            before, after = module._modules[name], module._modules[follower]
            if isinstance(before, nn.Conv2d) and isinstance(after, nn.ReLU):
                setattr(module, name, ConvolutionRelu(before))
                setattr(module, follower, nn.Identity())
    for name, child in module.named_children():
        if isinstance(child, PredictionHead):
            _fuse(child)
            setattr(module, name, JoinedHead(child))
        elif isinstance(child, BasicBlock | Bottleneck):
            parts = [getattr(child, name, None) for name, _ in _RESIDUAL_PAIRS]
            convolutions = [part for part in parts if part is not None]
            setattr(module, name, ResidualBlock(convolutions, child.downsample))
        else:
            _fuse(child)


def _fold_traced(body: fx.GraphModule) -> None:
    """Folds where the graph shows that a batch norm is all that reads a convolution's output."""
    modules = dict(body.named_modules())
    calls = [node for node in body.graph.nodes if node.op == "call_module"]
    targets = [str(node.target) for node in calls]
    for node, target in zip(calls, targets, strict=True):
        before = node.args[0] if node.args else None
        if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
            continue
        convolution, norm = modules[str(before.target)], modules[target]
        once = targets.count(target) == targets.count(str(before.target)) == 1
        if once and isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            _replace(body, str(before.target), fuse_conv_bn_eval(convolution, norm))
            _replace(body, target, nn.Identity())
    # What the graph calls as a whole, such as torchvision's own convolution blocks.
    for target in set(targets):
        _fold(body.get_submodule(target))


def _replace(root: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(root.get_submodule(parent), attribute, module)
