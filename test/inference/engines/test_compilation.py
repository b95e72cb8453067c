# SPDX-License-Identifier: Apache-2.0
import torch

from yolact_ros.inference.engines.compilation import compile_network


def test_more_than_eight_sizes_of_batch_are_compiled(monkeypatch):
    torch.compiler.reset()
    compiled = []
    compile_function = torch.compile

    def backend(graph, inputs):
        compiled.append(len(inputs))
        return graph.forward

    def compile_here(function, *, options, **arguments):
        assert options == {"freezing": True}
        return compile_function(function, backend=backend, **arguments)

    class Network(torch.nn.Module):
        def forward(self, images):
            return self.predict(images) + 1

        def predict(self, images):
            return images * 2

    monkeypatch.setattr(torch, "compile", compile_here)
    network = compile_network(Network())
    for batch in range(1, 13):
        assert (network(torch.ones(batch, 3)) == 3).all()
    assert len(compiled) == 12
