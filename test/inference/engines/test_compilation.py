# SPDX-License-Identifier: Apache-2.0
import torch

from yolact_ros.inference.engines.compilation import compile_network
from yolact_testing.networks import random_network


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
            return self.prototypes(self.predict(images))

        def predict(self, images):
            return images * 2

        def prototypes(self, images):
            return images + 1

    monkeypatch.setattr(torch, "compile", compile_here)
    network = compile_network(Network())
    for batch in range(1, 13):
        assert (network(torch.ones(batch, 3)) == 3).all()
    assert len(compiled) == 2 * 12


def test_what_is_compiled_brings_nothing_to_the_device(monkeypatch):
    """The priors, which are made on the host, would be brought in each call."""
    torch.compiler.reset()
    calls = []
    compile_function = torch.compile

    def backend(graph, inputs):
        calls.extend(str(node.target) for node in graph.graph.nodes if node.op != "placeholder")
        return graph.forward

    monkeypatch.setattr(
        torch, "compile", lambda function, **_: compile_function(function, backend=backend)
    )
    network = random_network().eval()
    x = torch.zeros(1, 3, 96, 96)
    with torch.inference_mode():
        expected = network(x)
        found = compile_network(network)(x)
    assert any("conv" in call for call in calls)
    assert not [call for call in calls if call in ("to", "cuda") or "tensor" in call]
    torch.testing.assert_close(found.priors, expected.priors)
