"""Dead-leaves pictures: shapes of all sizes that hide one another, drawn until nothing is bare.

The model is that of A. B. Lee, D. Mumford and J. Huang, "Occlusion models for natural images: a statistical study of
a scale-invariant dead leaves model", IJCV 41, 2001: radii with a density of r^-3 between two bounds make pictures
whose statistics are those of photographs. R. Achddou, Y. Gousseau and S. Ladjal, "Fully synthetic training for image
restoration tasks", CVIU 233, 2023, colour the leaves after a photograph and train networks on them. Leaves that are
not disks, the shading and the textures are ours, and so are the constants without a source.

Processors differ in the last digits of sines, sums and filters. In float64 those lie so far below half a grey level
that the rounded pixels are the same on all of them.
"""

from dataclasses import dataclass

import cv2
import numpy as np

SHAPES = ("disk", "ellipse", "polygon")
DISK, ELLIPSE, POLYGON = range(3)
SUPERSAMPLING = 2  # pixels drawn for a pixel kept, each way
SMALLEST = (0.008, 0.05)  # share of the side; a picture's smallest radius is drawn between the two
LARGEST = 0.5  # share of the side
BATCH = 4000  # leaves thrown between two looks at what is still bare
POINTS = 40  # of an outline
LOOKS = 6  # textures that the leaves of a picture share

INSTANCES = 10  # annotated leaves of a picture, at most
VISIBLE = 0.6  # share of an annotated leaf that no other hides, at least
AREA = 0.01  # share of the picture that an annotated leaf takes up, at least


@dataclass(frozen=True)
class Instance:
    """A leaf as it is seen: its shape's name, its outlines, float (n, 2) x and y in px, and its area in px^2."""

    shape: str
    outlines: list[np.ndarray]
    area: float


@dataclass(frozen=True)
class Leaves:
    """Geometry of n leaves, the front one first, in drawn pixels.

    `shape` (n,) indexes `SHAPES`; `centre` (n, 2) and `outline` (n, POINTS, 2) hold x and y; `radius` is (n,).
    """

    shape: np.ndarray
    centre: np.ndarray
    radius: np.ndarray
    outline: np.ndarray


def draw(size: int, palette: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, list[Instance]]:
    """Draw one picture.

    Args:
        size: side of the picture, in px.
        palette: uint8 (n, 3) RGB colours; each leaf has one of them.
        rng: where all draws come from.

    Returns:
        The picture, uint8 RGB HWC, and its largest mostly visible leaves, the largest first.
    """
    leaves, owner = _cover(size * SUPERSAMPLING, rng)
    picture = _paint(leaves, owner, palette, rng)
    blur = SUPERSAMPLING * rng.uniform(0.3, 0.7)
    picture = cv2.resize(cv2.GaussianBlur(picture, (0, 0), blur), (size, size), interpolation=cv2.INTER_AREA)
    return picture.clip(0, 255).round().astype(np.uint8), _instances(leaves, owner)


def _cover(side: int, rng: np.random.Generator) -> tuple[Leaves, np.ndarray]:
    """Leaves that cover the picture, and the number of the one seen at each pixel.

    Each leaf goes below all before it, until nothing is bare. That samples the model exactly: W. S. Kendall and
    E. Thonnes, "Perfect simulation in stochastic geometry", Pattern Recognition 32, 1999.
    """
    smallest = side * np.exp(rng.uniform(*np.log(SMALLEST)))
    owner = np.full((side, side), -1, np.int32)
    batches: list[Leaves] = []
    while (bare := owner < 0).any():
        batch = _throw(side, smallest, rng)
        first = sum(len(earlier.shape) for earlier in batches)
        below = np.full_like(owner, -1)
        outlines = np.round(batch.outline * 16).astype(np.int32)  # 4 bits of fraction: shift=4
        for number in reversed(range(len(outlines))):
            cv2.fillConvexPoly(below, outlines[number], first + number, shift=4)
        np.copyto(owner, below, where=bare)
        batches.append(batch)
    together = {name: np.concatenate([vars(batch)[name] for batch in batches]) for name in vars(batches[0])}
    return Leaves(**together), owner


def _throw(side: int, smallest: float, rng: np.random.Generator) -> Leaves:
    """The leaves, of `BATCH` thrown uniformly around the picture, that touch it."""
    largest = side * LARGEST
    # inverse of the distribution function that belongs to a density of r^-3
    radius = (smallest**-2 - rng.random(BATCH) * (smallest**-2 - largest**-2)) ** -0.5
    centre = rng.uniform(-largest, side + largest, (BATCH, 2))
    touches = (np.abs(centre - side / 2) < side / 2 + radius[:, None]).all(axis=1)
    radius, centre = radius[touches], centre[touches]
    shape = rng.integers(len(SHAPES), size=len(radius))
    return Leaves(shape, centre, radius, centre[:, None] + radius[:, None, None] * _outlines(shape, rng))


def _outlines(shape: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Convex outlines of radius 1 around the origin: (n, POINTS, 2)."""
    count = len(shape)
    corners = np.where(shape == POLYGON, rng.integers(3, 8, count), POINTS)[:, None]
    corner = np.arange(POINTS) * corners // POINTS
    jitter = np.where(corners < POINTS, rng.uniform(-0.35, 0.35, (count, POINTS)), 0)
    angle = 2 * np.pi * (corner + np.take_along_axis(jitter, corner, axis=1)) / corners
    outline = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
    outline[..., 1] *= np.where(shape == DISK, 1, rng.uniform(0.3, 1, count))[:, None]
    turn = rng.uniform(0, 2 * np.pi, count)
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    return outline @ rotation.transpose(2, 0, 1)


def _paint(leaves: Leaves, owner: np.ndarray, palette: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Float64 HWC: each leaf in its colour, lit from one side, two of three with a texture."""
    count, side = len(leaves.shape), len(owner)
    slope = rng.normal(0, 0.15, (count, 2)) / leaves.radius[:, None]
    at_origin = 1 - (slope * leaves.centre).sum(axis=1, keepdims=True)
    contrast = np.where(rng.random((count, 1)) < 2 / 3, rng.gamma(1.5, 0.06, (count, 1)), 0)
    look = rng.integers(LOOKS, size=count, dtype=np.int32)
    colour = palette[rng.integers(len(palette), size=count)]
    # one look-up a pixel for all of it: look-ups are what takes the time
    slope_x, slope_y, light, contrast, *rgb = np.moveaxis(np.hstack([slope, at_origin, contrast, colour])[owner], -1, 0)
    y, x = np.ogrid[:side, :side]
    light += slope_x * x + slope_y * y
    textures = _textures(side // SUPERSAMPLING, rng)
    light *= 1 + contrast * textures[look[owner], y // SUPERSAMPLING, x // SUPERSAMPLING]
    return np.stack(rgb, axis=-1) * light.clip(0.2, 2)[..., None]


def _textures(side: int, rng: np.random.Generator) -> np.ndarray:
    """Fields of mean 0 and deviation 1, float64 (LOOKS, side, side): waves, and noise with a 1/f^b spectrum."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side))
    frequency[0, 0] = np.inf
    y, x = np.ogrid[:side, :side]
    fields = np.empty((LOOKS, side, side))
    for number in range(LOOKS):
        if number % 3 == 0:
            angle, period = rng.uniform(0, np.pi), side * np.exp(rng.uniform(*np.log([0.01, 0.1])))
            field = np.sin(2 * np.pi / period * (x * np.cos(angle) + y * np.sin(angle)))
        else:
            white = np.fft.rfft2(rng.standard_normal((side, side)))
            field = np.fft.irfft2(white * frequency ** -rng.uniform(0.5, 1.5), (side, side))
        fields[number] = field / field.std()
    return fields


def _instances(leaves: Leaves, owner: np.ndarray) -> list[Instance]:
    """The leaves worth annotating, in pixels of the finished picture."""
    seen = np.bincount(owner.ravel(), minlength=len(leaves.shape))
    instances: list[Instance] = []
    for number in np.argsort(-seen, kind="stable"):
        if len(instances) == INSTANCES or seen[number] < AREA * owner.size:
            break
        if seen[number] < VISIBLE * cv2.contourArea(leaves.outline[number].astype(np.float32)):
            continue
        mask = (owner == number).astype(np.uint8)
        contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        outlines = [contour[:, 0] / SUPERSAMPLING for contour in contours if len(contour) > 2]
        instances.append(Instance(SHAPES[leaves.shape[number]], outlines, seen[number] / SUPERSAMPLING**2))
    return instances
