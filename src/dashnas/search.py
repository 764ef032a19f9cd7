"""The search: weights and architecture parameters of a supernet descend together, then the choice is read off."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from dashnas.config import SearchConfig
from dashnas.convert import Conversion, discretise, find_searchable, mixtures, to_supernet
from dashnas.data.parts import Part
from dashnas.losses import Loss
from dashnas.ops.costs import Load
from dashnas.ops.plan import AUTO, choose
from dashnas.ops.relaxation import GumbelSoftmax, Softmax
from dashnas.precision import matrix_products
from dashnas.space import Architecture, Candidate, SearchSpace, per_axis
from dashnas.training import Phase, Session, sgd, train


def make_supernet(
    backbone: nn.Module, space: SearchSpace, sample: Tensor, config: SearchConfig
) -> tuple[nn.Module, Conversion]:
    """The supernet of a backbone under a search's settings, and what became of each convolution."""
    relaxation = GumbelSoftmax(config.temperature) if config.gumbel else Softmax()
    conversion = find_searchable(
        backbone, space, sample, drop_beyond_map=config.drop_beyond_map, no_larger=config.no_larger
    )
    supernet = to_supernet(
        backbone,
        space,
        sample,
        strategy=config.strategy,
        plan=config.plan,
        relaxation=relaxation,
        separable=config.separable,
        drop_beyond_map=config.drop_beyond_map,
        no_larger=config.no_larger,
        kernel_std=config.kernel_std,
    )
    return supernet, conversion


def plan_layers(
    supernet: nn.Module, conversion: Conversion, config: SearchConfig, *, batch_size: int, device: torch.device
) -> dict[str, str]:
    """By layer name, the strategy that the search computes it with; timed on the device where the plan says so."""
    plan = {}
    with matrix_products(config.precision, device):
        for name, layer in mixtures(supernet).items():
            map_shape = conversion.searchable[name].map_shape
            load = Load(batch_size, layer.in_channels, layer.out_channels, map_shape, layer.geometry)
            plan[name] = (
                choose(load, config.precision.layer_dtype, device, measure=config.plan == "measure")
                if config.strategy == AUTO
                else config.strategy
            )
    return plan


def search(
    supernet: nn.Module,
    train_part: Part,
    loss: Loss,
    config: SearchConfig,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    session: Session,
    name: str = "search",
    choose: Callable[[nn.Module], Architecture] = discretise,
) -> tuple[Architecture, float]:
    """Train a supernet and read off the chosen architecture.

    Args:
        supernet: made by `make_supernet` or `dashnas.to_supernet`; trained in place.
        train_part: what it is trained on; nothing else is looked at.
        loss: what weights and architecture parameters descend.
        config: settings of the search.
        epochs: passes, each over the share of the data that the config says.
        batch_size: samples of a step.
        seed: of order and noise.
        session: where it runs.
        name: of the phase, in events and checkpoints.
        choose: reads off the architecture in the end.

    Returns:
        The architecture, and the seconds that the search took, resumed parts included.

    Reference: Shen et al. 2022, Algorithm 1.
    """
    phase = search_phase(supernet, train_part, loss, config, epochs=epochs, batch_size=batch_size, seed=seed, name=name)
    progress = train(phase, session)
    return choose(supernet), progress.seconds


def search_phase(
    supernet: nn.Module,
    train_part: Part,
    loss: Loss,
    config: SearchConfig,
    *,
    epochs: int,
    batch_size: int,
    seed: int,
    name: str = "search",
) -> Phase:
    """The phase that `search` trains; the calibration times its steps."""
    layers = mixtures(supernet)
    arch_parameters = [layer.arch_parameters for layer in layers.values()]
    arch_ids = {id(p) for p in arch_parameters}
    optimiser = sgd(
        [
            {
                "params": [p for p in supernet.parameters() if id(p) not in arch_ids],
                "lr": config.learning_rate,
                "weight_decay": config.weight_decay,
            },
            {
                "params": arch_parameters,
                "lr": config.arch_learning_rate,
                "weight_decay": config.arch_weight_decay,
            },
        ],
        config.momentum,
    )

    def entropies(_: int) -> dict[str, object]:
        return {"mixture_entropy": {name: round(layer.mixture_entropy(), 4) for name, layer in layers.items()}}

    return Phase(
        name=name,
        model=supernet,
        optimiser=optimiser,
        schedule=config.schedule,
        part=train_part,
        loss=loss,
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        network_name="search",
        subsample=config.subsample,
        precision=config.precision,
        clip=config.clip,
        shape_gradients=_gradient_shaper(supernet, config, dense=train_part.spec.target_kind.is_dense),
        after_epoch=entropies,
    )


def _gradient_shaper(supernet: nn.Module, config: SearchConfig, *, dense: bool) -> Callable[[], None]:
    """Scales the gradient of each layer's architecture parameters and adds the size penalty, as the authors' code does.

    g <- g * arch_grad_norm / (|g| + 1e-8) + size_penalty * f, with f = (k - 1) d + 1 for point targets and 10 k for
    dense ones; of several axes, the largest counts.
    """
    layers = list(mixtures(supernet).values())

    def size(candidate: Candidate, spatial_dims: int) -> int:
        if dense:
            return 10 * max(per_axis(candidate.kernel_size, spatial_dims))
        return 2 * max(candidate.half_reach(spatial_dims)) + 1

    penalties = [
        config.size_penalty * torch.tensor([float(size(c, layer.spatial_dims)) for c in layer.candidates])
        for layer in layers
    ]

    def shape() -> None:
        for layer, cost in zip(layers, penalties, strict=True):
            gradient = layer.arch_parameters.grad
            if gradient is None:
                continue
            if config.arch_grad_norm is not None:
                gradient.mul_(config.arch_grad_norm / (gradient.norm() + 1e-8))
            gradient.add_(cost.to(gradient))

    return shape
