"""How the user wants the data to be read and divided."""

from dataclasses import dataclass

from dashnas.data.spec import TargetKind
from dashnas.errors import ConfigError, unknown_name

MOST_PIXELS = 10_000
"""Along each axis of an image."""


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """What cannot be seen in the arrays themselves, with a default for each."""

    target: TargetKind | None = None
    """What is to be predicted; None infers it from the targets' shape and type. A plain string does too."""
    images: bool = False
    """Read inputs (n, height, width) as one-channel images; otherwise (n, a, b) is (n, channels, length)."""
    image_size: int | None = None
    """Of a folder of image files: height and width; None leaves images as they are if all are alike, else 224."""
    augment: bool = False
    """Of a folder of image files: cut out and mirror at random in training."""
    validation_fraction: float = 0.2
    """Share of the samples in `x` that is held out for choosing, where no validation part is given."""
    test_fraction: float = 0.2
    """Share of the samples in `x` that is sealed for the final score, where none is given; 0 for none."""
    impute: bool = False
    """Replace input values that are NaN or infinite by the training mean of their channel."""

    def __post_init__(self) -> None:
        if self.target is not None:
            try:
                object.__setattr__(self, "target", TargetKind(self.target))
            except ValueError:
                raise ConfigError(
                    unknown_name("target kind", str(self.target), [kind.value for kind in TargetKind])
                ) from None
        if self.image_size is not None and self.image_size < 1:
            raise ConfigError(f"image_size must be at least 1 pixel, got {self.image_size}; try 224")
        if self.image_size is not None and self.image_size > MOST_PIXELS:
            raise ConfigError(f"image_size must be at most {MOST_PIXELS} pixels, got {self.image_size}; try 224")
        if not 0 < self.validation_fraction < 1:
            raise ConfigError(
                f"validation_fraction must be above 0 and below 1, got {self.validation_fraction}; "
                "choices are made on the validation part, so there is always one; try 0.2"
            )
        if not 0 <= self.test_fraction < 1:
            raise ConfigError(
                f"test_fraction must be at least 0 and below 1, got {self.test_fraction}; "
                "0 leaves the test part out; try 0.2"
            )
        if self.validation_fraction + self.test_fraction >= 1:
            raise ConfigError(
                f"validation_fraction {self.validation_fraction} and test_fraction {self.test_fraction} "
                "leave nothing to train on; their sum must be below 1"
            )
