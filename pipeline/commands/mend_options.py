"""The options of `mend`."""

import argparse
import sys
from pathlib import Path

from PIL import ImageColor

from pipeline.images.formats import SUFFIXES
from pipeline.images.revive import CAST
from pipeline.inference.detector import SURE
from pipeline.inference.enlarger import FACTORS
from pipeline.inference.model_files import DETECTOR
from pipeline.inference.restorer import FIDELITY
from pipeline.runtime import command_line
from pipeline.runtime.errors import UserError, excerpt

SCRATCHES = "scratches"  # the heuristic among the detectors
OF_HOLES = ["save_mask", "grow", "annotations", "opaque", "see_through", "threshold", "revive"]
OF_RESTORING = ["opaque", "see_through", "fidelity", "texture", "revive"]
LAST_ID = 2**63 - 1  # of an annotation, in any program; far above all px
GUESS = "write the guess with --save-mask proposed.png, correct it, and use it as --mask proposed.png"


def parse_options() -> argparse.Namespace:
    """The options.

    Raises:
        UserError: options that do not go together.
    """
    parser = command_line.parser("mend", "Restore pictures with a trained generator.")
    command_line.add_completion(parser)
    parser.add_argument("pictures", nargs="+", type=parse_path, help="files, folders of them, or - for stdin")
    parser.add_argument(
        "-o",
        "--output",
        type=parse_path,
        help="a file with the format's suffix; a folder for many pictures; - for stdout, in the format of the input",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--mask",
        type=parse_path,
        help="white where to restore, black where to keep; a folder of masks for many pictures; - for stdin",
    )
    where.add_argument("--mask-color", type=parse_colour, help="restore what is painted in it, such as '#ff00ff'")
    where.add_argument(
        "--detect",
        nargs="?",
        const=DETECTOR,
        type=parse_detector,
        metavar="scratches|MODEL",
        help="find the damage: with the detector that ships, a heuristic for scratches, or a model of the profile "
        "detect; look at what is marked with --save-mask; pictures come before it",
    )
    where.add_argument(
        "--remove",
        type=parse_place,
        help="take an object out: LEFT,TOP,RIGHT,BOTTOM in px; X,Y in its middle (a guess, which is shown first); "
        "or the id of a COCO annotation",
    )
    where.add_argument("--upscale", type=int, choices=FACTORS, help="enlarge in place of restoring")
    parser.add_argument(
        "--threshold",
        type=parse_share,
        metavar="0..1",
        help=f"of --detect with a model: how probable damage must be; lower marks more; {SURE:g} by default",
    )
    parser.add_argument("--annotations", type=parse_path, help="the COCO instances file for the id of --remove")
    parser.add_argument("--grow", type=parse_width, default=0, metavar="PX", help="widen the mask by so many pixels")
    parser.add_argument("--yes", action="store_true", help="do not ask about a guess at X,Y, or much damage")
    under = parser.add_mutually_exclusive_group()
    under.add_argument("--opaque", action="store_true", help="what is under the mask is no part of the picture")
    under.add_argument(
        "--see-through",
        action="store_true",
        default=None,
        help="use what shines through, as under stains; without either, each region of the mask is judged by itself",
    )
    parser.add_argument(
        "--fidelity",
        type=parse_share,
        metavar="0..1",
        help=f"of large opaque holes, {FIDELITY:g} by default, and of --upscale, 1 by default: 0 for texture, 1 "
        "for what is likeliest, which is soft",
    )
    parser.add_argument(
        "--revive",
        type=parse_share,
        nargs="?",
        const=CAST,
        metavar="0..1",
        help=f"give a faded picture its contrast back, and take so much of its colour cast; {CAST:g} without a number",
    )
    parser.add_argument("--save-mask", type=parse_path, help="write the mask that is used; a folder for many pictures")
    parser.add_argument(
        "--model",
        type=not_empty,
        help="one that ships, such as restore, superres or painting, a model folder, an ONNX file, or a URI of MLflow; "
        "painting changes the look of a picture, everywhere where there is no mask",
    )
    parser.add_argument(
        "--strength",
        type=parse_share,
        metavar="0..1",
        help="of a model that changes the look: how far; 1 by default",
    )
    parser.add_argument(
        "--texture",
        type=not_empty,
        metavar="MODEL",
        help="the same of a model on the prior exemplar, which refines what large opaque holes are filled with; of "
        "--upscale, of an enlarger for a fidelity below 1",
    )
    options = parser.parse_args()
    if options.upscale and not options.output:
        raise UserError("where to? name the enlarged picture with -o")
    if options.upscale and (unused := given(parser, options, OF_HOLES)):
        raise UserError(f"--upscale has no mask, and restores no hole; leave {unused} out")
    options.restoring = given(parser, options, OF_RESTORING)
    if options.fidelity is None:
        options.fidelity = 1.0 if options.upscale else FIDELITY
    if options.upscale and bool(options.texture) != (options.fidelity < 1):
        raise UserError("--upscale takes --fidelity below 1 and --texture MODEL together; give both, or neither")
    if not options.output and not options.save_mask:
        raise UserError("where to? name the restored picture with -o, or the mask alone with --save-mask")
    if options.see_through and not (options.mask or options.detect):
        raise UserError("--see-through needs --mask or --detect; nothing shines through anything else")
    if options.threshold is not None and options.detect in {None, SCRATCHES}:
        raise UserError("--threshold needs --detect with a model; nothing else says how probable damage is")
    if options.threshold is None:
        options.threshold = SURE
    if options.remove and len(options.remove) == 1 and not options.annotations:
        raise UserError("--remove with an annotation's id needs --annotations, the COCO instances file")
    asked = options.remove and len(options.remove) == 2 and options.output and not options.yes
    if asked and not can_ask():
        raise UserError(f"what is at --remove X,Y is a guess, often wrong: {GUESS}; --yes acts on it unseen")
    return options


def given(parser: argparse.ArgumentParser, options: argparse.Namespace, names: list[str]) -> str:
    """Those of these options that were given, as they are written."""
    there = [name for name in names if getattr(options, name) != parser.get_default(name)]
    return ", ".join(f"--{name.replace('_', '-')}" for name in there)


def can_ask() -> bool:
    """Whether somebody sees a question and can answer it."""
    return bool(sys.stdin and sys.stdin.isatty() and sys.stderr.isatty())


def not_empty(text: str) -> str:
    """Text that is not empty."""
    if not text:
        raise argparse.ArgumentTypeError("is empty")
    return text


def parse_path(text: str) -> Path:
    """Of a file or a folder; an empty one would be this folder."""
    return Path(not_empty(text))


def parse_detector(text: str) -> str:
    """The heuristic, or a model; not pictures that stand behind the option."""
    path = Path(not_empty(text))
    is_named = text in {SCRATCHES, DETECTOR} or (path / "config.json").exists()
    if text == "-" or path.suffix.lower() in SUFFIXES or (path.is_dir() and not is_named):
        raise argparse.ArgumentTypeError(
            f"{excerpt(text)} is no model; name the pictures first, and --detect after them"
        )
    return text


def parse_colour(text: str) -> tuple[int, ...]:
    """A colour as Pillow knows them: '#ff00ff', 'magenta', 'rgb(255,0,255)'."""
    try:
        levels = ImageColor.getrgb(text)
        bytes(levels)  # which Pillow does not check
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"invalid colour value {excerpt(text)}; expected one such as '#ff00ff' or magenta"
        ) from None
    return levels


def parse_width(text: str) -> int:
    """A whole number up to 99,999."""
    if not text.isdecimal() or len(text) > 5:
        raise argparse.ArgumentTypeError(f"{excerpt(text)} is no whole number of px from 0 to 99999")
    return int(text)


def parse_share(text: str) -> float:
    """A number from 0 to 1."""
    try:
        share = float(text)
    except ValueError:
        share = -1
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{excerpt(text)} is no number from 0 to 1")
    return share


def parse_place(text: str) -> tuple[int, ...]:
    """One, two or four whole numbers."""
    try:
        numbers = tuple(int(number) for number in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in {1, 2, 4} or max(map(abs, numbers)) > LAST_ID:
        raise argparse.ArgumentTypeError(
            f"{excerpt(text)} is neither LEFT,TOP,RIGHT,BOTTOM nor X,Y nor an annotation's id"
        )
    return numbers
