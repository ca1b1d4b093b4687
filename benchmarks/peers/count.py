"""What the peers that learn networks are made of: numbers learnt, bytes, multiply-adds of a 256 x 256 image.

    PEERS/bin/python benchmarks/peers/count.py

Networks are built and not trained, which changes none of these. `latency.py` counts the others, whose size
depends on what they have seen. Multiply-adds are half the operations that torch counts.
"""

from types import ModuleType

import reconstruction
import supersimplenet
import torch
import unet
from latency import macs
from torch import Tensor

from flawtrace.method.encoder import Features


def states() -> dict[str, tuple[ModuleType, dict[str, Tensor]]]:
    """By name: the module of a method, and what its `fit` would return."""
    colours = torch.zeros(1, 3, 1, 1)
    encoder = Features()
    autoencoder = reconstruction._autoencoder(0).state_dict()
    segmenter = supersimplenet._model(0).state_dict()
    learnt = {name: value for name, value in segmenter.items() if name.startswith(supersimplenet.LEARNT)}
    return {
        "U-Net": (
            unet,
            {**unet._network().state_dict(), "input_mean": colours, "input_std": colours + 1},
        ),
        "SuperSimpleNet": (supersimplenet, learnt),
        "plain reconstruction": (
            reconstruction,
            {**autoencoder, "encoder.mean": encoder.mean, "encoder.std": encoder.std},
        ),
    }


if __name__ == "__main__":
    print("| method | learnt (numbers) | MB | multiply-adds (million) |\n|---|---:|---:|---:|")
    for name, (peer, state) in states().items():
        tensors = [tensor for tensor in state.values() if tensor.is_floating_point()]
        numbers, size = sum(map(torch.numel, tensors)), sum(tensor.nbytes for tensor in tensors) / 1e6
        predict = peer.restore(state, 0)
        print(f"| {name} | {numbers:,} | {size:.1f} | {macs(predict, torch.rand(1, 3, 256, 256)):,.0f} |")
