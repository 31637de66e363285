"""A small network that has not learned anything, but says something."""

import pytest
import torch

from hmr_ros.methods.diffhmr.network import DiffHmr, DiffHmrSize


@pytest.fixture(scope="session")
def untrained():
    """options -> network."""

    def make(**options):
        torch.manual_seed(0)
        network = DiffHmr(DiffHmrSize(context=64, width=64, blocks=2, **options))
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.05)
        return network.eval()

    return make
