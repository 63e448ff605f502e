"""What a training run is: a `Recipe`, the same for both frameworks. Fields and their checks alone, no files."""

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Recipe:
    """Everything that decides what a run gives, beside its data. Two equal recipes give the same run on one machine.

    Raises ValueError, naming the field, where a value makes no sense.
    """

    initial: str | Path | None = "imagenet"
    """Start: "imagenet" (the framework downloads its own), the path of a weights file, or None for random weights."""
    height: int = 192
    width: int = 336
    """Pixels that the network sees, about 16:9."""
    epochs: int = 8
    head_epochs: int = 1
    """The first so many of `epochs` train the new head alone, so that it does not spoil what the start knows.

    Kumar et al., ICLR 2022, arXiv 2202.10054.
    """
    head_lr: float = 1e-3
    """Learning rate of these, constant."""
    lr: float = 2e-4
    """Peak learning rate of AdamW in the other epochs: linear warm-up over 5 % of their steps, then a cosine to 0."""
    weight_decay: float = 0.02
    batch_size: int = 32
    frozen: int = 4
    """So many first blocks stay as they are: edges and textures need no retraining, and it saves a third of the time.

    PyTorch: blocks of `features`; TensorFlow: the stem and the stages.
    """
    ema_decay: float = 0.99
    """Decay, a step, of the exponential moving average (EMA) of the weights, which is what is measured and kept."""
    soft_labels: bool = True
    """Targets from the votes of all annotators, in place of the label alone."""
    one_a_shot: bool = True
    """Each epoch shows one random frame of a shot; False: all of them."""
    repeats: dict[str, dict] = dataclasses.field(default_factory=dict)
    """How often an epoch shows a frame, 1 where nothing is said: column -> value -> times; columns multiply."""
    augment: str = "film"
    """"film": all that `augment.film` does; "film without bars": all but bars and banners; "flip": mirroring alone."""
    photographs: tuple[str, ...] = ()
    """Values of `source` that are photographs of things, shown as a film would: see `augment.photograph`."""
    distillation: float = 0.5
    """With a network to imitate: the share of the loss against its answers; the rest is against the targets."""
    seed: int = 0
    """Of the order of frames, their variants and dropout; the start is the same for every seed."""

    def __post_init__(self):
        """Check every field."""
        times = [times for values in self.repeats.values() for times in values.values()]
        checks = {
            "height, width": min(self.height, self.width) >= 32,
            "epochs": self.epochs >= 1,
            "head_epochs": 0 <= self.head_epochs <= self.epochs,
            "head_lr, lr": min(self.head_lr, self.lr) > 0,
            "weight_decay": self.weight_decay >= 0,
            "batch_size": self.batch_size >= 1,
            "frozen": self.frozen >= 0,
            "ema_decay": 0 <= self.ema_decay < 1,
            "repeats": all(isinstance(number, int | float) and number >= 0 for number in times),
            "augment": self.augment in ("film", "film without bars", "flip"),
            "distillation": 0 <= self.distillation <= 1,
        }
        for fields, good in checks.items():
            if not good:
                values = ", ".join(repr(getattr(self, field)) for field in fields.split(", "))
                raise ValueError(f"recipe: {fields} cannot be {values}; see the fields of Recipe")

    def decay(self, steps: int) -> float:
        """The EMA decay of a run of so many `steps` in all: less in a short one, or little it learns is kept."""
        return max(0.0, min(self.ema_decay, 1 - 1.5 / steps))

    def as_dict(self) -> dict:
        """The fields with the name of the start, not its folder: moved data do not make it another run."""
        return {**dataclasses.asdict(self), "initial": self.initial and Path(self.initial).name}
