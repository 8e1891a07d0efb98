"""Restore pictures with a trained generator: the command `mend`.

mend photo.jpg --mask mask.png -o restored.png
"""

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor

from pipeline.images.decode import SUFFIXES, below, opened, passed_over
from pipeline.inference import image_file, masks, scratches, select_object, windows
from pipeline.inference.image_file import Picture
from pipeline.inference.restorer import Restorer
from pipeline.runtime import command_line, progress, stop
from pipeline.runtime.errors import LONGEST, UserError, excerpt, one_line_errors, shortened, told, write_stdout

LARGEST = Image.MAX_IMAGE_PIXELS or 0  # px: of an enlarged picture, which must be readable too
LAST_ID = 2**63 - 1  # of an annotation, in any program; far above all px
STREAM = Path("-")  # stdin, or stdout
MOST = 2**31  # bytes from stdin: all pixels that Pillow reads, of 8 bytes each, have fewer
PIECE = 2**20  # bytes

GUESS = "write the guess with --save-mask proposed.png, correct it, and use it as --mask proposed.png"

Say = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """A picture, and the files for it: the restored picture and the used mask to write, the given mask to read."""

    source: Path
    output: Path | None
    save_mask: Path | None
    mask: Path | None


def main() -> None:
    """Restore each picture. Those that cannot be are named, the rest go on, and the exit code is 1."""
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # of what is still below the limit
    with stop.on_ctrl_c(), one_line_errors():
        options = parsed()
        with streams_as_files(options) as folder:

            def say(line: str) -> None:
                print(shortened(line.replace(f"{folder}{os.sep}", ""), LONGEST), file=sys.stderr)

            failed, jobs = 0, planned(options, say)
            restorer = Restorer.load(options.model or options.kind) if options.output else None
            for job in progress.bar(jobs, "mend", len(jobs), "picture"):
                try:
                    if options.upscale:
                        upscale(job, options.upscale, restorer, say)
                    else:
                        mend(job, options, restorer, say)
                except Exception as error:  # whatever is wrong with one picture, the rest go on
                    failed += 1
                    reason = told(error) or f"{type(error).__name__}: {error}"
                    say(f"error: {reason if str(job.source) in reason else f'{job.source}: {reason}'}")
        if failed:
            sys.exit(f"error: {failed} of {len(jobs)} not restored" if len(jobs) > 1 else 1)


@contextmanager
def streams_as_files(options: argparse.Namespace) -> Iterator[str]:
    """While it lasts, `-` is a file in the folder that it gives; what was written for stdout goes there at the end.

    Raises:
        UserError: stdin or stdout is wanted twice, is closed, or is a terminal; or stdin has no end.
    """
    read, written = [*options.pictures, options.mask], [options.output, options.save_mask]
    for name, stream, paths in (("stdin", sys.stdin, read), ("stdout", sys.stdout, written)):
        if paths.count(STREAM) > 1:
            raise UserError(f"-: {name} holds one picture; give a file for the other")
        if STREAM in paths and stream is None:
            raise UserError(f"-: {name} is closed; connect it to a file or a program")
        if STREAM in paths and stream.isatty():
            raise UserError(f"-: {name} is a terminal; connect it to a file or a program")
    if STREAM in written and (len(options.pictures) > 1 or options.pictures[0].is_dir()):
        raise UserError("-: stdout holds one picture; give a folder for many")
    with tempfile.TemporaryDirectory(prefix="mend-") as folder:
        if STREAM in read:
            received = Path(folder, "stdin")
            receive(received)
            options.pictures = [received if path == STREAM else path for path in options.pictures]
            options.mask = received if options.mask == STREAM else options.mask
        sent = Path(folder, "stdout")
        if options.output == STREAM:
            options.output = sent = sent.with_suffix(suffix(options.pictures[0]))
        if options.save_mask == STREAM:
            options.save_mask = sent = sent.with_suffix(".png")
        yield folder
        if sent.exists():
            write_stdout(sent.read_bytes())


def receive(path: Path) -> None:
    """Write what comes from stdin to a file.

    Raises:
        UserError: it is more than a picture can have.
    """
    with path.open("wb") as file:
        while piece := sys.stdin.buffer.read(PIECE):
            if file.tell() + len(piece) > MOST:
                raise UserError(f"-: more than {MOST} bytes come from stdin, as from no picture; connect it to one")
            file.write(piece)


def suffix(path: Path) -> str:
    """The suffix of a picture's format, by its content; .png where that cannot be written, or not with alpha.

    Raises:
        UserError: not a picture.
    """
    with opened(path.read_bytes(), path.name) as image:
        kind = "JPEG" if image.format == "MPO" else image.format  # a phone's JPEG, with a preview behind it
        if kind == "BMP" and "A" in image.mode:
            return ".png"
    written = (suffix for suffix in SUFFIXES if SUFFIXES[suffix] == kind and image_file.is_written(Path(f"a{suffix}")))
    return next(written, ".png")


def mend(job: Job, options: argparse.Namespace, restorer: Restorer | None, say: Say) -> None:
    """Restore one picture, and write it, its mask, or both."""
    for path in filter(None, (job.output, job.save_mask)):
        image_file.format_of(path)
    before = image_file.read(job.source)
    hole = masks.grown(hole_of(before, job, options), options.grow)
    if options.remove and len(options.remove) == 2 and job.output and not options.yes:
        agree(before, hole, job)
    if doubt := masks.mask_warning(hole):
        say(f"warning: {job.source}: {doubt}")
    if job.save_mask:
        masks.write(hole, job.save_mask)
    if not (job.output and restorer):
        return
    transparent = not (options.mask or options.mask_color or options.detect or options.remove)
    blank = options.opaque or options.remove or options.mask_color or transparent
    see_through = False if blank else options.see_through
    after = before.with_boxes(list(restored_apart(before, hole, restorer, see_through)), opaque=transparent)
    image_file.write(after, job.output)
    note(say, job.output, image_file.altered(job.output), image_file.lost(before, job.output))


def restored_apart(
    before: Picture, hole: np.ndarray, restorer: Restorer, see_through: bool | None
) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[int, int]]]:
    """Box by box of what a hole needs: its restored pixels, its hole, its left and top in px."""
    for box in windows.apart(hole):
        down, across = box
        pixels = before.pixels((across.start, down.start, across.stop, down.stop))
        yield restorer.restore(pixels, hole[box], see_through), hole[box], (across.start, down.start)


def agree(before: Picture, hole: np.ndarray, job: Job) -> None:
    """Show what would go, in magenta, and ask.

    Raises:
        UserError: it shall not.
    """
    with tempfile.TemporaryDirectory() as folder:
        proposal = Path(folder) / f"{job.source.stem}-proposed.png"
        shown = np.where(hole[..., None], np.array([255, 0, 255], np.uint8), before.pixels_in_8_bits())
        Image.fromarray(shown).save(proposal)
        question = f"{proposal}: what would go from {job.source}, in magenta. Go on? [y/N] "
        print(question, end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline().strip().lower()
    if answer not in {"y", "yes"}:
        raise UserError(f"{job.source}: not restored; {GUESS}")


def upscale(job: Job, factor: int, restorer: Restorer | None, say: Say) -> None:
    """Enlarge one picture."""
    before = image_file.read(job.source)
    pixels = before.pixels()
    height, width = (factor * side for side in pixels.shape[:2])
    if height * width > LARGEST:
        raise UserError(f"{job.source}: {factor} times larger it has {width} x {height} px; the limit is {LARGEST} px")
    if job.output and restorer:
        image_file.write(before.enlarged(restorer.enlarge(pixels, factor)), job.output)
        note(say, job.output, image_file.lost(before, job.output))


def note(say: Say, path: Path, *said: str | None) -> None:
    """Say in a line what a format did not keep; nothing where it kept all."""
    if any(said):
        say(f"note: {path}: {'; '.join(filter(None, said))}")


def hole_of(before: Picture, job: Job, options: argparse.Namespace) -> np.ndarray:
    """Where to restore, from whichever option says so; without one, where the picture is transparent.

    Raises:
        UserError: nothing says so.
    """
    if job.mask:
        return masks.read(job.mask, before)
    if options.mask_color:
        return masks.of_colour(before.pixels_in_8_bits(), options.mask_color)
    if options.detect:
        found = scratches.detect(before.pixels_in_8_bits())
        if not found.any():
            raise UserError("no scratches are found; paint over them, and give that as --mask")
        return found
    if options.remove:
        return removed(before, job, options)
    transparent = before.transparent()
    if transparent is None:
        raise UserError("nothing says where to restore; give --mask, --mask-color, --detect, --remove or transparency")
    return transparent


def removed(before: Picture, job: Job, options: argparse.Namespace) -> np.ndarray:
    """The mask of what `--remove` points to."""
    size = before.size[::-1]
    match options.remove:
        case (annotation_id,):
            return select_object.of_annotation(options.annotations, annotation_id, before, job.source)
        case (x, y):
            return select_object.at_point(before.pixels_in_8_bits(), (x, y))
        case box:
            return select_object.in_box(size, box)


def parsed() -> argparse.Namespace:
    """The options.

    Raises:
        UserError: options that do not go together.
    """
    parser = command_line.parser("mend", "Restore pictures with a trained generator.")
    command_line.add_completion(parser)
    parser.add_argument("pictures", nargs="+", type=path_of, help="files, folders of them, or - for stdin")
    parser.add_argument(
        "-o",
        "--output",
        type=path_of,
        help="a file with the format's suffix; a folder for many pictures; - for stdout, in the format of the input",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument(
        "--mask",
        type=path_of,
        help="white where to restore, black where to keep; a folder of masks for many pictures; - for stdin",
    )
    where.add_argument("--mask-color", type=colour, help="restore what is painted in it, such as '#ff00ff'")
    where.add_argument(
        "--detect", choices=["scratches"], help="propose the mask: a heuristic; look at it with --save-mask"
    )
    where.add_argument(
        "--remove",
        type=place,
        help="take an object out: LEFT,TOP,RIGHT,BOTTOM in px; X,Y in its middle (a guess, which is shown first); "
        "or the id of a COCO annotation",
    )
    where.add_argument("--upscale", type=int, choices=[2, 4], help="enlarge in place of restoring")
    parser.add_argument("--annotations", type=path_of, help="the COCO instances file for the id of --remove")
    parser.add_argument("--grow", type=width, default=0, metavar="PX", help="widen the mask by so many pixels")
    parser.add_argument("--yes", action="store_true", help="do not ask before what is guessed at X,Y goes")
    under = parser.add_mutually_exclusive_group()
    under.add_argument("--opaque", action="store_true", help="what is under the mask is no part of the picture")
    under.add_argument(
        "--see-through",
        action="store_true",
        default=None,
        help="use what shines through, as under stains; without either, each region of the mask is judged by itself",
    )
    parser.add_argument("--save-mask", type=path_of, help="write the mask that is used; a folder for many pictures")
    parser.add_argument(
        "--model",
        type=not_empty,
        help="restore or superres, which ship, a model folder, an ONNX file, or a URI of MLflow",
    )
    options = parser.parse_args()
    options.kind = "superres" if options.upscale else "restore"
    if options.upscale and (options.save_mask or options.grow or not options.output):
        raise UserError(
            "--upscale has no mask: name the enlarged picture with -o, and leave --save-mask and --grow out"
        )
    if not options.output and not options.save_mask:
        raise UserError("where to? name the restored picture with -o, or the mask alone with --save-mask")
    if options.see_through and not (options.mask or options.detect):
        raise UserError("--see-through needs --mask or --detect; nothing shines through anything else")
    if options.remove and len(options.remove) == 1 and not options.annotations:
        raise UserError("--remove with an annotation's id needs --annotations, the COCO instances file")
    asked = options.remove and len(options.remove) == 2 and options.output and not options.yes
    if asked and not (sys.stdin and sys.stdin.isatty() and sys.stderr.isatty()):
        raise UserError(f"what is at --remove X,Y is a guess, often wrong: {GUESS}; --yes acts on it unseen")
    return options


def not_empty(text: str) -> str:
    """Text that is not empty."""
    if not text:
        raise argparse.ArgumentTypeError("is empty")
    return text


def path_of(text: str) -> Path:
    """Of a file or a folder; an empty one would be this folder."""
    return Path(not_empty(text))


def colour(text: str) -> tuple[int, ...]:
    """A colour as Pillow knows them: '#ff00ff', 'magenta', 'rgb(255,0,255)'."""
    try:
        levels = ImageColor.getrgb(text)
        bytes(levels)  # which Pillow does not check
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"invalid colour value {excerpt(text)}; expected one such as '#ff00ff' or magenta"
        ) from None
    return levels


def width(text: str) -> int:
    """A whole number up to 99,999."""
    if not text.isdecimal() or len(text) > 5:
        raise argparse.ArgumentTypeError(f"{excerpt(text)} is no whole number of px from 0 to 99999")
    return int(text)


def place(text: str) -> tuple[int, ...]:
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


def planned(options: argparse.Namespace, say: Say) -> list[Job]:
    """What to do, picture by picture.

    Raises:
        UserError: a device, no picture in a folder, one file for many, two for the same, or one that would be
            replaced.
    """
    many = len(options.pictures) > 1 or options.pictures[0].is_dir()
    if devices := [path for path in (*options.pictures, options.mask) if path and path.is_char_device()]:
        raise UserError(f"{devices[0]}: a device, which may have no end; give a file, or - for stdin")

    def among(folder: Path | None, inside: Path) -> Path | None:
        if folder is None or not (many or folder.is_dir()):
            return folder
        if folder.suffix.lower() in SUFFIXES:
            raise UserError(f"{folder}: one file for many pictures; give a folder")
        return folder / inside

    jobs: list[Job] = []
    for source, inside in found(options.pictures, say):
        output = among(options.output, inside if image_file.is_written(inside) else inside.with_suffix(".png"))
        save_mask = among(options.save_mask, inside.with_suffix(".png"))
        jobs.append(Job(source, output, save_mask, mask_for(options.mask, inside)))
    refuse_losses(jobs)
    return jobs


def found(given: list[Path], say: Say) -> Iterator[tuple[Path, Path]]:
    """Each picture, and its path below the folder that was given; hidden files aside."""
    for path in given:
        if path.is_dir():
            yield from ((path / inside, inside) for inside in below(path))
            note(say, path, passed_over(path))
        else:
            yield path, Path(path.name)


def mask_for(given: Path | None, inside: Path) -> Path | None:
    """The mask file, or that of the same name in the folder of masks, whatever its suffix."""
    if given is None or not given.is_dir():
        return given
    beside = (given / inside).parent
    there = sorted(beside.iterdir()) if beside.is_dir() else []
    named = (path for path in there if path.stem == inside.stem and path.suffix.lower() in SUFFIXES)
    return next(named, given / inside.with_suffix(".png"))


def refuse_losses(jobs: list[Job]) -> None:
    """Refuse to write over a picture that is read or written here."""
    read = {job.source.resolve() for job in jobs} | {job.mask.resolve() for job in jobs if job.mask}
    written: set[Path] = set()
    for target in (path for job in jobs for path in (job.output, job.save_mask) if path):
        if target.resolve() in read:
            raise UserError(f"{target}: would be written over; name another file or folder")
        if target.resolve() in written:
            raise UserError(f"{target}: two pictures would be written to it; restore them one by one")
        written.add(target.resolve())


if __name__ == "__main__":
    main()
