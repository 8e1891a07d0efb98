"""The measures that `image_quality.scores` gives, and how to read them."""

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


METRICS = {
    "psnr": Metric("PSNR", unit="dB", higher_is_better=True),
    "ssim": Metric("SSIM", unit="", higher_is_better=True),
    "psnr_hole": Metric("PSNR in the hole", unit="dB", higher_is_better=True),
    "ssim_hole": Metric("SSIM in the hole", unit="", higher_is_better=True),
}
HEADLINE = ("psnr", "ssim", "gain")
"""The scores to look at first; `gain` is the GAN's PSNR above the strongest classical method's, in dB."""
