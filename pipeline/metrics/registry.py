"""The measures that `image_quality.scores` and `detection.scores` give, and how to read them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Metric:
    """How a measure is shown and compared.

    Attributes:
        label: for people.
        unit: "" where it has none.
        higher_is_better: or lower.
    """

    label: str
    unit: str
    higher_is_better: bool

    @property
    def title(self) -> str:
        """The label with the unit, for an axis."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def show(self, value: float) -> str:
        """A value with the unit, in so many digits as tell apart what one can see."""
        return f"{value:.2f} {self.unit}" if self.unit else f"{value:.3f}"


RESTORATION = {
    "psnr": Metric("PSNR", unit="dB", higher_is_better=True),
    "ssim": Metric("SSIM", unit="", higher_is_better=True),
    "psnr_hole": Metric("PSNR in the hole", unit="dB", higher_is_better=True),
    "ssim_hole": Metric("SSIM in the hole", unit="", higher_is_better=True),
}
DETECTION = {
    "precision": Metric("precision", unit="", higher_is_better=True),
    "recall": Metric("recall", unit="", higher_is_better=True),
    "f1": Metric("F1", unit="", higher_is_better=True),
    "ap": Metric("AP", unit="", higher_is_better=True),
}
TRANSLATION = {"edges": Metric("edge SSIM to the input", unit="", higher_is_better=True)}
METRICS = RESTORATION | DETECTION | TRANSLATION
HEADLINE = ("psnr", "ssim", "gain", "f1", "ap", "edges")
"""The scores to look at first, of any task; `gain` is the PSNR above the strongest classical method's, in dB."""
