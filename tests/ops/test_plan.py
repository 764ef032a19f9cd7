"""Which strategy is chosen, when it is timed, and what is remembered."""

import json
from dataclasses import replace
from unittest import mock

import pytest
import torch

from dashnas.ops import STRATEGIES, AggConv1d, plan
from dashnas.ops.costs import Load, estimate
from dashnas.ops.geometry import Geometry
from dashnas.ops.plan import choose, time_strategy
from dashnas.space import Candidate, SearchSpace, per_axis

CPU = torch.device("cpu")


def load_of(spatial, *, batch=8, channels=4, candidates=None, groups=1):
    dims = len(spatial)
    candidates = SearchSpace.for_dims(dims).candidates() if candidates is None else candidates
    geometry = Geometry(
        tuple(per_axis(c.kernel_size, dims) for c in candidates),
        tuple(per_axis(c.dilation, dims) for c in candidates),
        (1,) * dims,
        groups,
    )
    return Load(batch, channels, channels, spatial, geometry)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """An empty memory, in this process and on disk."""
    monkeypatch.setattr(plan, "_chosen", {})
    monkeypatch.setattr(plan, "cache_folder", lambda: tmp_path)
    return tmp_path


@pytest.fixture
def costs(monkeypatch):
    """Costs by the model; strategies that are not named cost a thousand times as much."""

    def pretend(**given):
        monkeypatch.setattr(plan, "estimate", lambda name, load: given.get(name, 1e3))

    return pretend


@pytest.fixture
def times(monkeypatch):
    """Milliseconds that timing finds, or the error that ends it; the list of what was timed."""
    timed = []

    def pretend(**given):
        def time(name, load, dtype, device):
            timed.append((name, load.batch))
            if isinstance(given[name], Exception):
                raise given[name]
            return given[name]

        monkeypatch.setattr(plan, "time_strategy", time)
        return timed

    return pretend


def test_every_strategy_has_a_cost():
    for name in STRATEGIES:
        assert estimate(name, load_of((10,))) > 0


def test_where_the_model_is_sure_nothing_is_timed(costs, times):
    costs(grouped=1.0, dft=2.1)
    timed = times()
    assert choose(load_of((10,)), torch.float32, CPU) == "grouped"
    assert timed == []


def test_on_a_gpu_all_are_timed_but_what_is_hopeless(costs, times, monkeypatch):
    """The model is a CPU's: on an H200 the transforms that it favours took up to 12 times as long as `grouped`."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "some GPU")
    costs(dft=1.0, grouped=20.0, fourier=2.0, mixed_weights=31.0)
    timed = times(dft=3.0, grouped=1.0, fourier=2.0)
    assert choose(load_of((10,)), torch.float32, torch.device("cuda")) == "grouped"
    assert {name for name, _ in timed} == {"dft", "grouped", "fourier"}


def test_strategies_of_similar_cost_are_timed_and_the_fastest_is_taken(costs, times):
    costs(grouped=1.0, dft=1.9, fourier=2.1)
    timed = times(grouped=5.0, dft=4.0)
    assert choose(load_of((10,)), torch.float32, CPU) == "dft"
    assert timed == [("grouped", 8), ("dft", 8)]


def test_the_model_alone_never_times(costs, times):
    costs(grouped=1.0, dft=1.1)
    timed = times()
    assert choose(load_of((10,)), torch.float32, CPU, measure=False) == "grouped"
    assert timed == []


def test_times_are_remembered_on_disk(costs, times, monkeypatch, cache):
    costs(grouped=1.0, dft=1.1)
    timed = times(grouped=2.0, dft=1.0)
    assert choose(load_of((10,)), torch.float32, CPU) == "dft"
    monkeypatch.setattr(plan, "_chosen", {})  # as in another process
    assert choose(load_of((10,)), torch.float32, CPU) == "dft"
    assert len(timed) == 2
    (file,) = (cache / "plans").iterdir()
    assert f"torch{torch.__version__.split('+')[0]}" in file.name
    ((key, entry),) = json.loads(file.read_text()).items()
    assert key.startswith("batch 8, 4 to 4 channels, groups 1, map 10, stride 1, candidates 3/1 3/3")
    assert entry == {"grouped": 2.0, "dft": 1.0}


def test_what_another_process_measured_meanwhile_is_kept(costs, times, cache):
    costs(grouped=1.0, dft=1.1)
    times(grouped=2.0, dft=1.0)
    choose(load_of((10,)), torch.float32, CPU)
    choose(load_of((11,)), torch.float32, CPU)
    (file,) = (cache / "plans").iterdir()
    assert len(json.loads(file.read_text())) == 2


OUT_OF_MEMORY = [
    MemoryError(),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
    RuntimeError("[enforce fail] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."),
    RuntimeError("[enforce fail] data. DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes."),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["MemoryError", "GPU", "CPU", "CPU elsewhere"])
def test_a_strategy_that_does_not_fit_into_memory_is_not_taken_and_not_remembered(costs, times, cache, error):
    costs(grouped=1.0, dft=1.1)
    times(grouped=error, dft=3.0)
    assert choose(load_of((10,)), torch.float32, CPU) == "dft"
    (file,) = (cache / "plans").iterdir()
    assert list(json.loads(file.read_text()).values()) == [{"dft": 3.0}]


def test_where_none_of_similar_cost_fits_the_others_are_timed_and_mixed_results_last_of_all(costs, times):
    costs(grouped=1.0, dft=1.1, mixed_results=0.1)
    full = MemoryError()
    times(grouped=full, dft=full, fourier=5.0, mixed_weights=6.0)
    assert choose(load_of((10,)), torch.float32, CPU) == "fourier"
    timed = times(grouped=full, dft=full, fourier=full, mixed_weights=full, mixed_results=9.0)
    assert choose(load_of((11,)), torch.float32, CPU) == "mixed_results"
    assert [name for name, _ in timed[-5:]] == ["grouped", "dft", "mixed_weights", "fourier", "mixed_results"]


def test_where_nothing_fits_the_model_decides_and_the_layer_itself_fails(costs, times, monkeypatch):
    """So that a run can go on with fewer samples at once."""
    costs(grouped=1.0, dft=1.1)
    times(**dict.fromkeys(STRATEGIES, MemoryError()))
    assert choose(load_of((10,)), torch.float32, CPU) == "grouped"
    monkeypatch.setitem(STRATEGIES, "grouped", mock.Mock(side_effect=MemoryError))
    with pytest.raises(MemoryError):
        AggConv1d(4, 4, (Candidate(3), Candidate(5)))(torch.randn(8, 4, 10))


def test_any_other_error_of_a_timed_strategy_passes(costs, times):
    costs(grouped=1.0, dft=1.1)
    times(grouped=RuntimeError("shapes"), dft=3.0)
    with pytest.raises(RuntimeError, match="shapes"):
        choose(load_of((10,)), torch.float32, CPU)


@pytest.mark.parametrize("measure", [True, False])
def test_mixed_results_is_not_taken_where_others_fit_however_cheap_it_is(costs, times, measure):
    costs(grouped=1.0, dft=1.1, mixed_results=0.1)
    timed = times(grouped=2.0, dft=3.0, mixed_results=1.0)
    assert choose(load_of((10,)), torch.float32, CPU, measure=measure) == "grouped"
    assert "mixed_results" not in dict(timed)


def test_another_number_of_threads_has_a_choice_of_its_own(costs, times, monkeypatch):
    costs(grouped=1.0, dft=1.1)
    times(grouped=2.0, dft=1.0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert choose(load_of((10,)), torch.float32, CPU) == "dft"
    times(grouped=1.0, dft=2.0)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    assert choose(load_of((10,)), torch.float32, CPU) == "grouped"
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    assert choose(load_of((10,)), torch.float32, CPU) == "dft"


@pytest.mark.parametrize("content", ["", "no json", "[1, 2]", "null"])
def test_a_damaged_cache_is_no_cache(costs, times, cache, content):
    costs(grouped=1.0, dft=1.1)
    timed = times(grouped=2.0, dft=1.0)
    choose(load_of((10,)), torch.float32, CPU)
    (file,) = (cache / "plans").iterdir()
    file.write_text(content)
    plan._chosen.clear()
    assert choose(load_of((10,)), torch.float32, CPU) == "dft"
    assert len(timed) == 4


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(costs, times, cache):
    costs(grouped=1.0, dft=1.1)
    times(grouped=2.0, dft=1.0)
    (cache / "plans").write_text("a file in place of the folder")
    assert choose(load_of((10,)), torch.float32, CPU) == "dft"


def test_the_last_batch_of_an_epoch_goes_the_way_of_the_others(costs, times):
    costs(grouped=1.0, dft=1.1)
    timed = times(grouped=2.0, dft=1.0)
    for batch in (64, 33, 50):
        choose(load_of((10,), batch=batch), torch.float32, CPU)
    assert timed == [("grouped", 64), ("dft", 64)]


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_timing_touches_no_generator_and_gives_milliseconds(strategy):
    before = torch.get_rng_state()
    load = load_of((6, 5), batch=2, candidates=(Candidate(3), Candidate(5, 2)))
    milliseconds = time_strategy(strategy, load, torch.float32, CPU)
    assert 0 < milliseconds < 1000
    assert torch.equal(torch.get_rng_state(), before)


def test_a_layer_can_be_timed_under_inference_mode():
    with torch.inference_mode():
        assert time_strategy("dft", load_of((6,), batch=2), torch.float32, CPU) > 0


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        pytest.param(load_of((46,), batch=256, channels=64), "dft", id="satellite"),
        pytest.param(load_of((8, 8), batch=64, channels=64), "dft", id="last stage of WRN"),
        pytest.param(load_of((32, 32), batch=64, channels=16), "dft", id="first stage of WRN"),
        pytest.param(load_of((46,), batch=256, channels=64, groups=64), "dft", id="satellite, depthwise"),
        pytest.param(
            load_of((32, 32), batch=64, channels=16, candidates=(Candidate(3), Candidate(3, 2))),
            "grouped",
            id="two small kernels",
        ),
        pytest.param(
            load_of((200,), batch=64, channels=64, candidates=(Candidate(3),)), "mixed_weights", id="one small kernel"
        ),
    ],
)
def test_the_model_ranks_as_measured(load, expected):
    """The fastest by results/operator.md and results/costs.md."""
    best = min(STRATEGIES, key=lambda name: estimate(name, load))
    assert best == expected or (expected == "mixed_weights" and best == "grouped")  # the same for one candidate


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("spatial", [(46,), (1000,), (8, 8), (5, 64)])
def test_costs_grow_with_the_batch_the_channels_and_the_map(strategy, spatial):
    load = load_of(spatial)
    cost = estimate(strategy, load)
    assert cost > 0
    assert estimate(strategy, load.with_batch(80)) > cost
    assert estimate(strategy, replace(load, in_channels=16, out_channels=16)) > cost
    assert estimate(strategy, replace(load, map_shape=tuple(3 * n for n in spatial))) > cost


def test_a_layer_takes_the_strategy_of_its_plan(costs, times, monkeypatch):
    costs(grouped=1.0, dft=1.1)
    timed = times(grouped=2.0, dft=1.0)
    used = []
    for name, strategy in STRATEGIES.items():
        monkeypatch.setitem(
            STRATEGIES, name, lambda *a, name=name, strategy=strategy: used.append(name) or strategy(*a)
        )
    x = torch.randn(4, 2, 12)
    candidates = (Candidate(3), Candidate(5))
    AggConv1d(2, 2, candidates)(x)
    AggConv1d(2, 2, candidates, plan="model")(x)
    AggConv1d(2, 2, candidates, strategy="fourier")(x)
    assert used == ["dft", "grouped", "fourier"]
    assert len(timed) == 2


@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # PyTorch 2.13's own doing
def test_torch_compile_takes_a_layer_that_chooses(costs):
    costs(dft=1.0)
    layer = AggConv1d(2, 2, (Candidate(3), Candidate(5)))
    x = torch.randn(4, 2, 12)
    torch.testing.assert_close(torch.compile(layer, backend="aot_eager", fullgraph=True)(x), layer(x))
    torch.compiler.reset()
