"""Translating as a task to learn without pairs: contrastive unpaired translation (CUT, Park et al. 2020).

What a translator makes shall look like the second domain, which is for the discriminator to say (equation 1); and each
of its patches shall be more like the patch of the input at the same place than like any other (equations 2 and 3).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.corruptions.labels import has_truth
from pipeline.datasets.pairs import Pairs
from pipeline.metrics.image_quality import psnr
from pipeline.networks import weights
from pipeline.networks.translator import Translator
from pipeline.training.attempt import Attempt, Validated, contrast
from pipeline.training.batches import Batch

TEMPERATURE = 0.07  # Park et al. 2020, appendix C.1
PATCHES = 64  # compared a layer; 256 there, of pictures sixteen times as large


def attempt(translator: Translator, batch: Batch, identity: float) -> Attempt:
    """Translate a batch: pictures of the first domain and of the second, float N3HW in [0, 1].

    The loss and the adversarial loss make equation 5: with an `l1` of 1 and an `identity` of 1 as its weights the
    method is CUT; with 10 and 0 it is FastCUT, which does without the translations of the second domain.
    """
    source, target = batch
    given = torch.cat([source, target]) if identity else source
    made = translator(given).float()
    errors = patch_nce(translator, given, made)
    translated, whole = made[: len(source)], torch.ones_like(source[:, :1])
    nce = errors[: len(source)].mean()
    return Attempt(
        loss=nce + identity * errors[len(source) :].mean() if identity else nce,
        shown={
            "l1": (translated.detach() - source).abs().mean(),
            "nce": nce,
            "contrast": contrast(translated.detach(), target, whole),
        },
        real=(target, whole),
        made=(translated, whole),
    )


def patch_nce(translator: Translator, given: Tensor, made: Tensor) -> Tensor:
    """How badly patches of what was made are told to be those of what was given: Park et al. 2020, equation 3.

    The mean over the encoder's layers and over `PATCHES` places of each, where the paper has the sum. The other patches
    are of the same picture. What was given gets no gradient, as in the authors' code.

    Args:
        translator: whose encoder and projections compare.
        given: float N3HW in [0, 1].
        made: the same, of the translator.

    Returns:
        float N.
    """
    with torch.no_grad():
        keys = translator.features(given)
    errors = []
    for key, query, project in zip(keys, translator.features(made), translator.projections, strict=True):
        places = torch.randperm(key[0, 0].numel())[:PATCHES].to(key.device)
        with torch.no_grad():
            known = F.normalize(project(_at(key, places)).float(), dim=-1)
        asked = F.normalize(project(_at(query, places)).float(), dim=-1)
        errors.append(cross_entropy(asked, known))
    return torch.stack(errors).mean(0)


def _at(features: Tensor, places: Tensor) -> Tensor:
    """NCHW at P places: NPC."""
    return features.flatten(2)[..., places].transpose(1, 2)


def cross_entropy(asked: Tensor, known: Tensor) -> Tensor:
    """Of the choice of each patch's own among all: Park et al. 2020, equation 2. Of unit vectors NPC: float N."""
    logits = torch.bmm(asked, known.transpose(1, 2)) / TEMPERATURE
    own = torch.arange(logits.shape[1], device=logits.device).expand(len(logits), -1)
    return F.cross_entropy(logits.transpose(1, 2), own, reduction="none").mean(1)


def validate(translator: nn.Module, pairs: Pairs, indices: range) -> Validated:
    """Translate pairs: PSNR in dB, and the picture, its translation, and one of the second domain.

    It is that of the truth; where there is none, of the input: how much of it is kept.
    """
    targets, images, _ = pairs.batch(indices)
    made = weights.translate(translator, images)
    labels = pairs.column("corruption")
    known = np.array([has_truth(labels[index]) for index in indices])
    pictures = [list(row) for row in zip(images, made, targets, strict=True)]
    return Validated(psnr(made, np.where(known[:, None, None, None], targets, images)), pictures)
