"""The files of `mend`: which picture goes where, and stdin and stdout as files."""

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.images.decode import open_picture
from pipeline.images.formats import SUFFIXES, describe_skipped, list_pictures
from pipeline.inference import image_file
from pipeline.runtime.errors import UserError, write_stdout

STREAM = Path("-")  # stdin, or stdout
MOST = 2**31  # bytes from stdin: all pixels that Pillow reads, of 8 bytes each, have fewer
PIECE = 2**20  # bytes
Say = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """A picture, and the files for it: the restored picture and the used mask to write, the given mask to read."""

    source: Path
    output: Path | None
    save_mask: Path | None
    mask: Path | None


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
            options.output = sent = sent.with_suffix(suffix_of(options.pictures[0]))
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


def suffix_of(path: Path) -> str:
    """The suffix of a picture's format, by its content; .png where that cannot be written, or not with alpha.

    Raises:
        UserError: not a picture.
    """
    with open_picture(path.read_bytes(), path.name) as image:
        kind = "JPEG" if image.format == "MPO" else image.format  # a phone's JPEG, with a preview behind it
        if kind == "BMP" and "A" in image.mode:
            return ".png"
    written = (suffix for suffix in SUFFIXES if SUFFIXES[suffix] == kind and image_file.is_written(Path(f"a{suffix}")))
    return next(written, ".png")


def print_note(say: Say, path: Path, *said: str | None) -> None:
    """Say in a line what a format did not keep; nothing where it kept all."""
    if any(said):
        say(f"note: {path}: {'; '.join(filter(None, said))}")


def plan_jobs(options: argparse.Namespace, say: Say) -> list[Job]:
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
    for source, inside in find_pictures(options.pictures, say):
        output = among(options.output, inside if image_file.is_written(inside) else inside.with_suffix(".png"))
        save_mask = among(options.save_mask, inside.with_suffix(".png"))
        jobs.append(Job(source, output, save_mask, find_mask(options.mask, inside)))
    refuse_losses(jobs)
    return jobs


def find_pictures(given: list[Path], say: Say) -> Iterator[tuple[Path, Path]]:
    """Each picture, and its path below the folder that was given; hidden files aside."""
    for path in given:
        if path.is_dir():
            yield from ((path / inside, inside) for inside in list_pictures(path))
            print_note(say, path, describe_skipped(path))
        else:
            yield path, Path(path.name)


def find_mask(given: Path | None, inside: Path) -> Path | None:
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
