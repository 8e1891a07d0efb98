"""The kinds of damage that leave a part of the picture whole, by name."""

import numpy as np

from pipeline.corruptions import freeform, occlusion, scratch, stain
from pipeline.corruptions import object as cutout
from pipeline.datasets.silhouettes import Silhouette
from pipeline.params import Corrupt, HoleCorruption


def corrupt(
    kind: HoleCorruption,
    image: np.ndarray,
    rng: np.random.Generator,
    params: Corrupt,
    silhouette: Silhouette | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Damage a picture by one kind, with its own section of `params`; only `object` looks at `silhouette`."""
    match kind:
        case "occlusion":
            return occlusion.corrupt(image, rng, params.occlusion)
        case "scratch":
            return scratch.corrupt(image, rng, params.scratch)
        case "stain":
            return stain.corrupt(image, rng, params.stain)
        case "freeform":
            return freeform.corrupt(image, rng, params.freeform)
        case "object":
            assert silhouette
            return cutout.corrupt(image, rng, params.object, silhouette)
