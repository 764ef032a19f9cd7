"""From NumPy arrays to a trained network and its answers for new samples, with recordings of the same person together.

Eight people tap a sensor twice; a short pause means yes, a long one no. Everybody taps at a strength of their own, so
a network that has seen a person before would look better than it is: `group` keeps each person in one part.
"""

import numpy as np

from dashnas import Options, fit

PEOPLE = 8


def taps(samples: int, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Recordings x (samples, 48) with y "yes" or "no", and who made them."""
    person = np.arange(samples) % PEOPLE
    strength = np.linspace(1, 3, PEOPLE)[person]
    slow = rng.integers(0, 2, samples)
    first = rng.integers(0, 28, samples)
    second = first + np.where(slow == 1, 14, 10) + rng.integers(0, 2, samples)
    x = rng.normal(0, 0.3, (samples, 48))
    x[np.arange(samples), first] += strength
    x[np.arange(samples), second] += strength
    return {"x": x, "y": np.where(slow == 1, "no", "yes"), "group": person}


def main() -> None:
    """Fit, compare with the untouched backbone, predict."""
    rng = np.random.default_rng(0)
    options = Options(width=8, search_epochs=8, tune_trials=1, tune_epochs=8, epochs=16, seed=0)
    result = fit(taps(400, rng), options)

    summary = result.summary
    print(f"samples: {summary['samples']}, with no person in two parts")
    for title, name in (("saved network", "scores"), ("untouched backbone", "backbone_scores")):
        test = summary[name]["test"]
        print(f"{title}: test error {test['value']:.2f} (95 % interval {test['low']:.2f} to {test['high']:.2f})")
    if result.model.architecture is None:
        print("the untouched backbone won the race, and is the saved network")
    for layer, choice in (result.model.architecture or {}).items():
        print(f"  {layer}: kernel size {choice.kernel_size}, dilation {choice.dilation}")

    new = taps(5, rng)
    model = result.model
    answers = model.predict(new["x"])
    for label, probability, truth in zip(answers["label"], answers["probability"], new["y"], strict=True):
        print(f"predicted {label} with probability {probability.max():.2f}; it was {truth}")


if __name__ == "__main__":
    main()
