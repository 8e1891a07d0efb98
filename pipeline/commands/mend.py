"""Restore pictures with a trained generator: the command `mend`.

mend photo.jpg --mask mask.png -o restored.png
"""

import argparse
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from pipeline.commands.mend_files import Job, Say, plan_jobs, print_note, streams_as_files
from pipeline.commands.mend_options import GUESS, SCRATCHES, can_ask, parse_options
from pipeline.images import detect_scratches
from pipeline.images.revive import revive
from pipeline.inference import image_file, masks, select_object, windows
from pipeline.inference.detector import Detector, mark
from pipeline.inference.enlarger import BY_COMPRESSION, SHARP, Enlarger
from pipeline.inference.image_file import Picture
from pipeline.inference.model_files import design_of
from pipeline.inference.restorer import Restorer
from pipeline.inference.translator import Translator
from pipeline.runtime import progress, stop
from pipeline.runtime.errors import LONGEST, UserError, explain, one_line_errors, shorten

MOST_DAMAGE = 1 / 3  # of a picture; more is asked about: a texture may have been taken for damage
LARGEST = Image.MAX_IMAGE_PIXELS or 0  # px: of an enlarged picture, which must be readable too


def main() -> None:
    """Restore each picture. Those that cannot be are named, the rest go on, and the exit code is 1."""
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # of what is still below the limit
    with stop.on_ctrl_c(), one_line_errors():
        options = parse_options()
        with streams_as_files(options) as folder:

            def say(line: str) -> None:
                print(shorten(line.replace(f"{folder}{os.sep}", ""), LONGEST), file=sys.stderr)

            failed, jobs = 0, plan_jobs(options, say)
            enlargers = load_enlargers(options) if options.upscale else []
            translator = load_translator(options)
            restores = options.output and not options.upscale and not translator
            restorer = Restorer.load(options.model or "restore", options.texture) if restores else None
            options.detector = load_detector(options.detect) if options.detect else None
            for job in progress.bar(jobs, "mend", len(jobs), "picture"):
                try:
                    if enlargers:
                        upscale(job, options, enlargers, say)
                    elif translator:
                        change_look(job, options, translator, say)
                    else:
                        mend(job, options, restorer, say)
                except Exception as error:  # whatever is wrong with one picture, the rest go on
                    failed += 1
                    reason = explain(error) or f"{type(error).__name__}: {error}"
                    say(f"error: {reason if str(job.source) in reason else f'{job.source}: {reason}'}")
        if failed:
            sys.exit(f"error: {failed} of {len(jobs)} not restored" if len(jobs) > 1 else 1)


def mend(job: Job, options: argparse.Namespace, restorer: Restorer | None, say: Say) -> None:
    """Restore one picture, and write it, its mask, or both."""
    for path in filter(None, (job.output, job.save_mask)):
        image_file.format_of(path)
    before = image_file.read(job.source)
    hole = masks.grow(find_hole(before, job, options, say), options.grow)
    if job.output and not options.yes:
        if options.remove and len(options.remove) == 2:
            agree(before, hole, job, f"what would go from {job.source}")
        elif options.detect and hole.mean() > MOST_DAMAGE:
            agree(before, hole, job, f"{hole.mean():.0%} of {job.source} is marked as damage")
    sound = options.detect and not hole.any()
    if not (sound or options.revive is not None) and (warning := masks.mask_warning(hole)):
        say(f"warning: {job.source}: {warning}")
    if job.save_mask:
        masks.write(hole, job.save_mask)
    if not (job.output and restorer):
        return
    if sound and options.revive is None and job.source.suffix.lower() == job.output.suffix.lower():
        image_file.copy(job.source, job.output)
        return
    transparent = not (options.mask or options.mask_color or options.detect or options.remove)
    blank = options.opaque or options.remove or options.mask_color or transparent
    see_through = False if blank else options.see_through
    boxes = list(restore_boxes(before, hole, restorer, see_through, options.fidelity))
    after = before.with_boxes(boxes, opaque=transparent)
    if options.revive is not None:
        after = after.with_restored(revive(after.pixels(), hole, options.revive), np.ones_like(hole))
    image_file.write(after, job.output)
    print_note(say, job.output, image_file.describe_altered(job.output), image_file.describe_lost(before, job.output))


def restore_boxes(
    before: Picture, hole: np.ndarray, restorer: Restorer, see_through: bool | None, fidelity: float
) -> Iterator[tuple[np.ndarray, np.ndarray, tuple[int, int]]]:
    """Box by box of what a hole needs: its restored pixels, its hole, its left and top in px."""
    for box in windows.separate_boxes(hole):
        down, across = box
        pixels = before.pixels((across.start, down.start, across.stop, down.stop))
        yield restorer.restore(pixels, hole[box], see_through, fidelity), hole[box], (across.start, down.start)


def agree(before: Picture, hole: np.ndarray, job: Job, what: str) -> None:
    """Show what would be restored, in magenta, say what it is, and ask.

    Raises:
        UserError: it shall not, or nobody is there to ask.
    """
    if not can_ask():
        raise UserError(f"{what}, and nobody can be asked: {GUESS}; --yes acts on it unseen")
    with tempfile.TemporaryDirectory() as folder:
        proposal = Path(folder) / f"{job.source.stem}-proposed.png"
        shown = np.where(hole[..., None], np.array([255, 0, 255], np.uint8), before.pixels_in_8_bits())
        Image.fromarray(shown).save(proposal)
        question = f"{proposal}: {what}, in magenta. Go on? [y/N] "
        print(question, end="", file=sys.stderr, flush=True)
        answer = sys.stdin.readline().strip().lower()
    if answer not in {"y", "yes"}:
        raise UserError(f"{job.source}: not restored; {GUESS}")


def load_enlargers(options: argparse.Namespace) -> list[Enlarger]:
    """As `BY_COMPRESSION`; a model that is named is for both."""
    models = [options.model] * 2 if options.model else BY_COMPRESSION
    return [Enlarger.load(model, options.texture) for model in models]


def upscale(job: Job, options: argparse.Namespace, enlargers: list[Enlarger], say: Say) -> None:
    """Enlarge one picture."""
    if job.output:
        image_file.format_of(job.output)
    before, factor = image_file.read(job.source), options.upscale
    pixels = before.pixels()
    height, width = (factor * side for side in pixels.shape[:2])
    if height * width > LARGEST:
        raise UserError(f"{job.source}: {factor} times larger it has {width} x {height} px; the limit is {LARGEST} px")
    if job.output:
        enlarger = enlargers[before.compressed]
        image_file.write(before.enlarged(enlarger(pixels, factor, options.fidelity)), job.output)
        print_note(say, job.output, image_file.describe_lost(before, job.output))
        if before.compressed and not options.model and options.fidelity:
            print_note(say, job.source, f"a JPEG, so enlarged with {enlarger.name}; --model {SHARP} is for sharp ones")


def load_translator(options: argparse.Namespace) -> Translator | None:
    """The model that is named, where it changes the look of pictures.

    Raises:
        UserError: options that it has no use for; or that only such a model has use for.
    """
    if not options.model or options.upscale or design_of(options.model) != "translator":
        if options.strength is not None:
            raise UserError("--strength needs a --model that changes the look, such as painting; leave it out")
        return None
    if options.restoring:
        raise UserError(
            f"{options.model} changes the look of a picture, and restores no hole; leave {options.restoring} out"
        )
    return Translator.load(options.model)


def change_look(job: Job, options: argparse.Namespace, translator: Translator, say: Say) -> None:
    """Give one picture another look, all over or where a mask says."""
    for path in filter(None, (job.output, job.save_mask)):
        image_file.format_of(path)
    before = image_file.read(job.source)
    masked = job.mask or options.mask_color or options.detect or options.remove
    hole = masks.grow(find_hole(before, job, options, say), options.grow) if masked else None
    if job.save_mask and hole is not None:
        masks.write(hole, job.save_mask)
    if job.output:
        pixels = before.pixels()
        changed = translator.change(pixels, hole, 1.0 if options.strength is None else options.strength)
        everywhere = np.ones(pixels.shape[:2], bool)
        image_file.write(before.with_restored(changed, everywhere if hole is None else hole), job.output)
        print_note(
            say, job.output, image_file.describe_altered(job.output), image_file.describe_lost(before, job.output)
        )


def find_hole(before: Picture, job: Job, options: argparse.Namespace, say: Say) -> np.ndarray:
    """Where to restore, from whichever option says so; without one, where the picture is transparent.

    Raises:
        UserError: nothing says so.
    """
    if job.mask:
        return masks.read(job.mask, before)
    if options.mask_color:
        return masks.from_colour(before.pixels_in_8_bits(), options.mask_color)
    if options.detect:
        return find_damage(before, job, options, say)
    if options.remove:
        return find_object(before, job, options)
    transparent = before.transparent()
    if transparent is None and options.revive is not None:
        return np.zeros(before.size[::-1], bool)
    if transparent is None:
        raise UserError("nothing says where to restore; give --mask, --mask-color, --detect, --remove or transparency")
    return transparent


def load_detector(name: str) -> Detector | None:
    """A trained detector; None for the heuristic.

    Raises:
        UserError: it is neither.
    """
    if name == SCRATCHES:
        return None
    try:
        return Detector.load(name)
    except UserError as error:
        raise UserError(f"--detect: expected {SCRATCHES}, or a model of the profile detect: {error}") from None


def find_damage(before: Picture, job: Job, options: argparse.Namespace, say: Say) -> np.ndarray:
    """The mask of what is found, by the heuristic where there is no detector; a note says what is left as it is."""
    if not options.detector:
        found, doubtful = detect_scratches.detect(before.pixels_in_8_bits()), 0
    else:
        found, doubtful = mark(options.detector(before.pixels()), options.threshold)
    notes = []
    if not found.any():
        notes.append("no damage is found, so it stays as it is; paint over it, and give that as --mask")
    if doubtful:
        notes.append(
            f"doubtful regions that stay as they are: {doubtful}; --save-mask shows what is marked, --threshold decides"
        )
    print_note(say, job.source, *notes)
    return found


def find_object(before: Picture, job: Job, options: argparse.Namespace) -> np.ndarray:
    """The mask of what `--remove` points to."""
    size = before.size[::-1]
    match options.remove:
        case (annotation_id,):
            return select_object.of_annotation(options.annotations, annotation_id, before, job.source)
        case (x, y):
            return select_object.at_point(before.pixels_in_8_bits(), (x, y))
        case box:
            return select_object.in_box(size, box)


if __name__ == "__main__":
    main()
