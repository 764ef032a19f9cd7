"""From architecture parameters to a mixture."""

import copy

import pytest
import torch

from dashnas.errors import ConfigError
from dashnas.ops import AggConv1d, GumbelSoftmax, Softmax
from dashnas.space import Candidate

ARCH_PARAMETERS = torch.tensor([0.3, -1.0, 2.0, 0.0])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("training", [True, False])
def test_softmax_is_the_softmax_in_training_and_in_evaluation(training):
    mixture = Softmax().train(training)(ARCH_PARAMETERS)
    torch.testing.assert_close(mixture, ARCH_PARAMETERS.exp() / ARCH_PARAMETERS.exp().sum())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_gumbel_mixture_is_a_distribution_over_the_candidates(temperature):
    mixture = GumbelSoftmax(temperature)(ARCH_PARAMETERS)
    assert mixture.shape == ARCH_PARAMETERS.shape
    assert (mixture > 0).all()
    torch.testing.assert_close(mixture.sum(), torch.tensor(1.0))


def test_gumbel_noise_is_drawn_anew_in_training():
    relaxation = GumbelSoftmax().train()
    assert not torch.equal(relaxation(ARCH_PARAMETERS), relaxation(ARCH_PARAMETERS))


@pytest.mark.parametrize("temperature", [0.5, 1.0])
def test_evaluation_has_no_gumbel_noise(temperature):
    mixture = GumbelSoftmax(temperature).eval()(ARCH_PARAMETERS)
    torch.testing.assert_close(mixture, (ARCH_PARAMETERS / temperature).softmax(0))


def test_a_generator_decides_the_noise_whatever_the_global_seed():
    first = GumbelSoftmax(generator=seeded())(ARCH_PARAMETERS)
    torch.manual_seed(7)
    assert torch.equal(GumbelSoftmax(generator=seeded())(ARCH_PARAMETERS), first)
    assert not torch.equal(GumbelSoftmax(generator=seeded(1))(ARCH_PARAMETERS), first)


def test_noise_from_a_generator_leaves_the_global_one_alone():
    before = torch.get_rng_state()
    GumbelSoftmax(generator=seeded())(ARCH_PARAMETERS)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_deep_copy_goes_on_with_the_same_noise():
    relaxation = GumbelSoftmax(generator=seeded())
    relaxation(ARCH_PARAMETERS)
    twin = copy.deepcopy(relaxation)
    assert torch.equal(twin(ARCH_PARAMETERS), relaxation(ARCH_PARAMETERS))


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_the_noisy_favourite_is_drawn_with_the_softmax_probabilities(temperature):
    # The Gumbel-max trick; the temperature does not change which entry is the largest.
    draws = 4000
    relaxation = GumbelSoftmax(temperature, seeded())
    favourites = torch.stack([relaxation(ARCH_PARAMETERS).argmax() for _ in range(draws)])
    frequencies = favourites.bincount(minlength=4) / draws
    probabilities = ARCH_PARAMETERS.softmax(0)
    deviation = (probabilities * (1 - probabilities) / draws).sqrt()
    assert ((frequencies - probabilities).abs() < 4 * deviation).all()


def test_a_low_temperature_makes_the_mixture_nearly_hard():
    sharp, soft = (GumbelSoftmax(t, seeded())(ARCH_PARAMETERS).max() for t in (0.01, 1.0))
    assert sharp > 0.999 > soft


def test_gradient_of_the_noisy_mixture_reaches_the_architecture_parameters():
    arch_parameters = ARCH_PARAMETERS.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda a: GumbelSoftmax(generator=seeded())(a), arch_parameters)


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperature_must_be_above_zero(temperature):
    with pytest.raises(ConfigError, match=f"temperature must be above 0, got {temperature}; 1 is the paper's"):
        GumbelSoftmax(temperature)


def test_a_layer_draws_once_per_forward_pass_and_the_batch_shares_the_draw():
    mixtures = []

    def watched(arch_parameters):
        mixtures.append(GumbelSoftmax()(arch_parameters))
        return mixtures[-1]

    layer = AggConv1d(1, 1, (Candidate(3), Candidate(5)), relaxation=watched)
    sample = torch.randn(1, 1, 8)
    result = layer(sample.expand(3, 1, 8))
    assert len(mixtures) == 1
    torch.testing.assert_close(result, result[:1].expand(3, 1, 8))
    layer(sample)
    assert not torch.equal(*mixtures)


@pytest.mark.parametrize("strategy", ["mixed_results", "fourier"])
def test_a_supernet_layer_is_noisy_in_training_only(strategy):
    layer = AggConv1d(2, 2, (Candidate(3), Candidate(5)), relaxation=GumbelSoftmax(), strategy=strategy)
    x = torch.randn(1, 2, 8)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x))
