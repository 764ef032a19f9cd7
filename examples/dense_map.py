"""A number at every position of a map, where the truth is known at some positions only.

The input is a field of sources; the target is what arrives six columns downwind of them. It was measured at a third
of the positions: elsewhere y is NaN and the mask 0, and these positions count neither in the loss nor in the score.
"""

import numpy as np

from dashnas import Options, fit

WIND = 6


def fields(samples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Sources x and what arrives y, both (samples, 12, 16); nothing arrives in the columns at the upwind rim."""
    x = rng.normal(size=(samples, 12, 16)) ** 2
    y = np.zeros_like(x)
    y[:, :, WIND:] = x[:, :, :-WIND]
    return x, y


def main() -> None:
    """Fit with a mask, compare with the untouched backbone, predict a whole map."""
    rng = np.random.default_rng(0)
    x, y = fields(160, rng)
    measured = rng.random(y.shape) < 1 / 3
    data = {"x": x[:, None], "y": np.where(measured, y, np.nan), "mask": measured}

    options = Options(
        width=4, kernel_sizes=(3, 5), dilations=(1, 2, 4), search_epochs=6, tune_trials=1, tune_epochs=6, epochs=12,
        learning_rate=0.03, metric="r2", seed=0,
    )  # fmt: skip
    result = fit(data, options)

    summary = result.summary
    print(f"{summary['task_kind']}, scored with {summary['metric']['name']} where the mask is 1 (higher is better)")
    print(f"both networks trained for {summary['schedule']['retrain_epochs']} epochs, which is little")
    for title, name in (("searched network", "scores"), ("untouched backbone", "backbone_scores")):
        test = summary[name]["test"]
        print(f"{title}: test {test['value']:.2f} (95 % interval {test['low']:.2f} to {test['high']:.2f})")

    model = result.model
    new_x, new_y = fields(1, rng)
    prediction = model.predict(new_x[:, None])["prediction"]
    print(f"a new map: x {new_x[:, None].shape}, prediction {prediction.shape}")
    print(f"row 3, columns 8 to 13, predicted: {prediction[0, 3, 8:14].round(1)}")
    print(f"row 3, columns 8 to 13, true:      {new_y[0, 3, 8:14].round(1)}")


if __name__ == "__main__":
    main()
