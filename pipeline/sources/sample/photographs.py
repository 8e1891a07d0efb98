"""The freely licensed photographs inside the wheels of scikit-image and scikit-learn, and crops of them."""

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

CC0, PUBLIC_DOMAIN, NO_KNOWN_COPYRIGHT, CC_BY = 1, 2, 3, 4
LICENSES = [
    {"id": CC0, "name": "CC0 1.0", "url": "https://creativecommons.org/publicdomain/zero/1.0/"},
    {"id": PUBLIC_DOMAIN, "name": "Public domain", "url": "https://creativecommons.org/publicdomain/mark/1.0/"},
    {
        "id": NO_KNOWN_COPYRIGHT,
        "name": "No known copyright restrictions",
        "url": "https://rightsstatements.org/vocab/NKC/1.0/",
    },
    {"id": CC_BY, "name": "CC BY 2.0", "url": "https://creativecommons.org/licenses/by/2.0/"},
]

FREEDOM = 1.15  # a photograph's shorter side over a crop's, at least, so that crops differ
PALETTE_SIDE = 64  # px, each way, that a photograph is shrunk to for its colours


@dataclass(frozen=True)
class Photograph:
    """Where a package has it, the split it may serve (train, val or test), its license and its origin."""

    path: str
    split: str
    license: int
    url: str


# Licenses and origins are those that skimage/data/_fetchers.py and sklearn/datasets/images/README.txt state; where the
# first names a photographer but no page, it is the page that names the photographer.
# A photograph's place in the list decides its crops' ids: new ones go to the end.
_DOCS = "https://scikit-image.org/docs/stable/api/skimage.data.html#skimage.data."
_COMMONS = "https://commons.wikimedia.org/wiki/File:"
_HUBBLE = "http://hubblesite.org/newscenter/archive/releases/2012/37/image/a/"
_COINS = "https://www.brooklynmuseum.org/opencollection/archives/image/51611"
_FLICKR = "https://www.flickr.com/photos/"
PHOTOGRAPHS = (
    Photograph("skimage/data/astronaut.png", "train", PUBLIC_DOMAIN, "https://flic.kr/p/r9qvLn"),
    Photograph("skimage/data/rocket.jpg", "train", PUBLIC_DOMAIN, f"{_FLICKR}spacexphotos/16511594820/"),
    Photograph("skimage/data/retina.jpg", "train", CC0, f"{_COMMONS}Fundus_photograph_of_normal_left_eye.jpg"),
    Photograph("skimage/data/hubble_deep_field.jpg", "train", PUBLIC_DOMAIN, _HUBBLE),
    Photograph("skimage/data/ihc.png", "train", NO_KNOWN_COPYRIGHT, f"{_DOCS}immunohistochemistry"),
    Photograph("skimage/data/brick.png", "train", CC0, "https://cc0textures.com/view.php?tex=Bricks25"),
    Photograph("skimage/data/grass.png", "train", CC0, "https://www.deviantart.com/linolafett/art/Grass-01-434853879"),
    Photograph("skimage/data/gravel.png", "train", CC0, "https://cc0textures.com/view.php?tex=Gravel04"),
    Photograph("skimage/data/coins.png", "train", NO_KNOWN_COPYRIGHT, _COINS),
    Photograph("sklearn/datasets/images/flower.jpg", "val", CC_BY, f"{_FLICKR}vultilion/6056698931/"),
    Photograph("skimage/data/camera.png", "val", CC0, f"{_DOCS}camera"),
    Photograph("skimage/data/coffee.png", "test", CC0, f"{_DOCS}coffee"),
    Photograph("skimage/data/chelsea.png", "test", CC0, f"{_DOCS}chelsea"),
    Photograph("sklearn/datasets/images/china.jpg", "test", CC_BY, f"{_FLICKR}danielbuechele/6061409035/"),
)


def load(photograph: Photograph) -> Image.Image:
    """The whole photograph, RGB."""
    package, _, path = photograph.path.partition("/")
    spec = find_spec(package)  # finds the wheel's folder without importing the package
    assert spec and spec.origin
    with Image.open(Path(spec.origin).parent / path) as image:
        return image.convert("RGB")


def box(photograph: Photograph, index: int, size: int, seed: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom, in px, of the `index`-th square crop.

    Scales and places come from the R3 sequence of M. Roberts, "The unreasonable effectiveness of quasirandom
    sequences", 2018: however many crops there are, they spread evenly, and more of them move none. A crop's side lies
    between `size` and the photograph's shorter side; it falls below `size` only where the photograph would leave it
    no room to move.
    """
    width, height = _whole(photograph).size
    short = min(width, height)
    least = min(size, short / FREEDOM)
    start = np.random.default_rng([seed, PHOTOGRAPHS.index(photograph)]).random(3)
    scale, across, down = (start + index * 1.2207440846057596 ** -np.arange(1, 4)) % 1
    side = round(least * (short / least) ** scale)
    left, top = round(across * (width - side)), round(down * (height - side))
    return left, top, left + side, top + side


def crop(photograph: Photograph, place: tuple[int, int, int, int], size: int) -> Image.Image:
    """What lies in the box `place`, RGB, shrunk to `size` px each way where it is larger."""
    piece = _whole(photograph).crop(place)
    return piece.resize((size, size), Image.Resampling.LANCZOS) if piece.width > size else piece


def palette(rng: np.random.Generator) -> np.ndarray:
    """Colours of two train photographs, one of them not grey: uint8 (n, 3) RGB.

    The photographs are few, and mostly warm: so red and blue change places in half of the palettes, and the colours
    are mixed with their grey, to a share that is drawn.
    """
    train = [photograph for photograph in PHOTOGRAPHS if photograph.split == "train"]
    vivid = [photograph for photograph in train if np.ptp(_colours(photograph), axis=1).mean() > 10]
    colours = np.concatenate([_colours(group[rng.integers(len(group))]) for group in (vivid, train)])
    grey = colours.mean(axis=1, keepdims=True)
    mixed = grey + (colours - grey) * rng.uniform(0.3, 1)
    return mixed.round().astype(np.uint8)[:, :: rng.choice([1, -1])]


_whole = cache(load)


@cache
def _colours(photograph: Photograph) -> np.ndarray:
    """Float (n, 3), exposed alike: neither quite black nor quite white."""
    small = _whole(photograph).resize((PALETTE_SIDE, PALETTE_SIDE), Image.Resampling.BOX)
    colours = np.asarray(small, float).reshape(-1, 3)
    return 15 + 225 * (colours / np.percentile(colours, 99)).clip(0, 1)
