# SPDX-License-Identifier: Apache-2.0
import torch

from yolact_ros.inference.engines.compilation import compile_network


def test_more_than_eight_sizes_of_batch_are_compiled():
    torch.compiler.reset()
    compiled = []

    def backend(graph, inputs):
        compiled.append(len(inputs))
        return graph.forward

    class Network(torch.nn.Module):
        def forward(self, images):
            return images * 2

        def compile(self, *, options, **arguments):
            super().compile(backend=backend, **arguments)

    network = compile_network(Network())
    for batch in range(1, 13):
        network(torch.ones(batch, 3))
    assert len(compiled) == 12
