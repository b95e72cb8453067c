# SPDX-License-Identifier: Apache-2.0
"""Any of torchvision's classification networks as a backbone."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, fx, nn

from yolact_ros.errors import InputError, first_line
from yolact_ros.presets import TorchvisionSpec

_STRIDES = (8, 16, 32)
_PROBE = 256


class TorchvisionBackbone(nn.Module):
    """The features at strides 8, 16 and 32 of a torchvision classification network.

    The layers are found, not listed: see `_find_strides`. The network is built without weights.

    Args:
        spec: The network's name.

    Attributes:
        channels: Channels of C3, C4 and C5.
        nodes: Names of the layers that were found, as torchvision's feature extraction has them.

    Raises:
        InputError: torchvision has no such classification network, or it has no such maps.
    """

    def __init__(self, spec: TorchvisionSpec) -> None:
        super().__init__()
        # Here, as it takes seconds, and other backbones need none of it.
        import torchvision
        from torchvision.models.feature_extraction import create_feature_extractor

        known = torchvision.models.list_models(module=torchvision.models)
        if spec.name not in known:
            raise InputError(
                "backbone: expected torchvision:NAME with a classification network of torchvision, "
                f"such as torchvision:mobilenet_v3_large, got {spec.name!r}"
            )
        with warnings.catch_warnings():
            # About initialisation schemes, and about layers that exist in training only.
            warnings.simplefilter("ignore")
            model = torchvision.models.get_model(spec.name, weights=None)
            found = _find_strides(model, spec.name)
            self.nodes = tuple(name for name, _ in found)
            self.channels = tuple(channels for _, channels in found)
            self.body = create_feature_extractor(model, return_nodes=list(self.nodes))

    @property
    def stages(self) -> list[list[nn.Module]]:
        """The layers up to each of the three maps, in the order in which they run."""
        graph = list(self.body.graph.nodes)
        maps = graph[-1].args[0]  # by name, of the node that returns them
        stages: list[list[nn.Module]] = [[]]
        for node in graph[:-1]:
            if node.op == "call_module":
                stages[-1].append(self.body.get_submodule(node.target))
            elif node.op == "get_attr":  # a parameter that a block uses by itself
                stages[-1].append(self.body.get_submodule(node.target.rpartition(".")[0]))
            if node in maps.values():
                stages.append([])
        return stages[: len(self.nodes)]

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, H, W) to C3, C4, C5 at strides 8, 16, 32."""
        outputs = self.body(x)
        return [outputs[name] for name in self.nodes]


def _find_strides(model: nn.Module, name: str) -> list[tuple[str, int]]:
    """For each stride the chosen layer's node name and channels.

    Among the values that the network computes for a probe image these are the last (B, C, h, w)
    map of each stride that everything after it depends on: the end of a stage, not a branch inside
    a residual block.
    """
    from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

    try:
        # Evaluation nodes alone: layers that exist in training only must not be chosen.
        _, names = get_graph_node_names(model)
        extractor = create_feature_extractor(
            model, eval_return_nodes=names, train_return_nodes=names
        ).eval()
        with torch.no_grad():
            values = extractor(torch.zeros(1, 3, _PROBE, _PROBE))
    except (RuntimeError, ValueError, AssertionError, torch.fx.proxy.TraceError) as error:
        raise InputError(
            f"backbone: expected a network that can be traced at {_PROBE} x {_PROBE} pixels, "
            f"torchvision:{name} cannot: {first_line(error)}"
        ) from error
    model.train()
    found: dict[int, tuple[str, int]] = {}
    for node in _bottlenecks(extractor.graph, values):
        value = values[node]
        if value.ndim == 4 and value.shape[2] == value.shape[3] > 1:
            stride = _PROBE / value.shape[2]
            if stride in _STRIDES:
                found[int(stride)] = (node, value.shape[1])
    if missing := [stride for stride in _STRIDES if stride not in found]:
        raise InputError(
            f"backbone: expected maps (B, C, h, w) at strides 8, 16 and 32 in torchvision:{name}, "
            f"found none at {', '.join(map(str, missing))}"
        )
    return [found[stride] for stride in _STRIDES]


def _bottlenecks(graph: fx.Graph, values: dict[str, Any]) -> list[str]:
    """Names of the values that are, when computed, the only ones still needed."""
    names = _node_names(graph)
    order = {node: position for position, node in enumerate(graph.nodes)}
    bottlenecks, alive = [], set()
    for node, position in order.items():
        # Shapes and parameters are not what flows through the network.
        if node in names and isinstance(values[names[node]], Tensor) and node.op != "get_attr":
            alive.add(node)
            alive = {
                other
                for other in alive
                if other is node
                or any(order[user] > position for user in other.users if user.op != "output")
            }
            if alive == {node}:
                bottlenecks.append(names[node])
    return bottlenecks


def _node_names(graph: fx.Graph) -> dict[fx.Node, str]:
    [output] = [node for node in graph.nodes if node.op == "output"]
    return {node: name for name, node in output.args[0].items()}
