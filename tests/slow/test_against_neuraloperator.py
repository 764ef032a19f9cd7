"""The spectral convolution against that of neuraloperator, in values and gradients.

Its package asks for trackers and data loaders that nothing here needs, so it is no dependency of the tests: this one
puts its wheel and three small ones that its layer imports into a folder, without what they ask for, and loads the layer
alone. Heights are even: for odd ones its version 2.0.0 undoes `fftshift` by another `fftshift`, one row off.
"""

import subprocess
import sys

import pytest

PINNED = ["neuraloperator==2.0.0", "tensorly==0.10.0", "tensorly-torch==0.5.0", "opt_einsum==3.4.0"]

COMPARE = """
import sys, types
from pathlib import Path
folder = sys.argv[1]
sys.path.insert(0, folder)
for name in ("neuralop", "neuralop.layers"):  # without what their __init__ imports
    sys.modules[name] = types.ModuleType(name)
    sys.modules[name].__path__ = [str(Path(folder, *name.split(".")))]

import torch
from neuralop.layers.spectral_convolution import SpectralConv
from dashnas.backbones.fno import spectral_convolution

torch.manual_seed(0)
compared = 0
for height, width, modes_high, modes_wide in ((16, 16, 4, 5), (14, 20, 7, 11), (26, 25, 12, 12), (12, 9, 2, 3)):
    theirs = SpectralConv(3, 4, (2 * modes_high, 2 * (modes_wide - 1)), bias=False)
    weight = theirs.weight.to_tensor().detach()  # rows from -modes_high to modes_high - 1
    assert weight.shape == (3, 4, 2 * modes_high, modes_wide), weight.shape
    theirs.weight.tensor.data = weight.clone()
    theirs.weight.tensor.requires_grad_()
    high, low = (half.clone().requires_grad_() for half in weight.split(modes_high, dim=2))
    x = torch.randn(2, 3, height, width, requires_grad=True)
    pull = torch.randn(2, 4, height, width)
    ours, other = spectral_convolution(x, low, high), theirs(x)
    close = {"rtol": 1e-4, "atol": 1e-5}  # it computes in single precision, whatever its input is
    torch.testing.assert_close(ours, other, **close)
    gradients = torch.autograd.grad((ours * pull).sum(), (x, high, low))
    expected = torch.autograd.grad((other * pull).sum(), (x, theirs.weight.tensor))
    torch.testing.assert_close(gradients[0], expected[0], **close)
    torch.testing.assert_close(torch.cat(gradients[1:], dim=2), expected[1], **close)
    compared += 1
print(f"{compared} compared")
"""


@pytest.mark.slow
def test_the_spectral_convolution_is_that_of_neuraloperator(tmp_path):
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", tmp_path / "wheels", *PINNED]
    subprocess.run(install, check=True, capture_output=True)
    compare = [sys.executable, "-c", COMPARE, tmp_path / "wheels"]
    compared = subprocess.run(compare, capture_output=True, text=True)
    assert compared.returncode == 0, compared.stderr
    assert compared.stdout == "4 compared\n"
