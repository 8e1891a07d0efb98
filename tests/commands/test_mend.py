import io
import json
import os
import signal
import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageColor, ImageOps
from skimage import data

from pipeline.commands import mend
from pipeline.images.revive import revive
from pipeline.inference import windows
from pipeline.inference.restorer import Restorer
from pipeline.runtime import command_line
from tests.clone import ROOT

PHOTO = data.coffee()[100:228, 150:350]
HOLE = np.zeros(PHOTO.shape[:2], bool)
HOLE[50:58, 20:180] = HOLE[20:110, 100:106] = True


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """The working folder, with a photo, its mask, and the photo with the mask painted over and made transparent."""
    monkeypatch.chdir(tmp_path)
    Image.fromarray(PHOTO).save("photo.png")
    Image.fromarray(HOLE).save("mask.png")
    Image.fromarray(np.where(HOLE[..., None], (255, 0, 255), PHOTO).astype(np.uint8)).save("painted.png")
    Image.fromarray(np.dstack([np.where(HOLE[..., None], 0, PHOTO), np.where(HOLE, 0, 255)]).astype(np.uint8)).save(
        "cut.png"
    )
    return tmp_path


@pytest.fixture
def run(folder, monkeypatch, capsys):
    """Runs the command; its exit code and what it said on stderr."""

    def run(*arguments: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["mend", *arguments])
        code = 0
        try:
            mend.main()
        except SystemExit as exit_:
            text = exit_.code if isinstance(exit_.code, str) else ""
            code = 1 if text else int(exit_.code or 0)
            sys.stderr.write(f"{text}\n" if text else "")
        said = capsys.readouterr().err
        assert "Traceback" not in said
        return code, said

    return run


def pixels(name: str) -> np.ndarray:
    return np.asarray(Image.open(name))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("photo.png", ["--mask", "mask.png"]),
        ("photo.png", ["--mask", "mask.png", "--opaque"]),
        ("painted.png", ["--mask-color", "#ff00ff"]),
        ("cut.png", []),
    ],
)
def test_the_hole_is_restored_and_nothing_else(name, options, run):
    assert run(name, *options, "-o", "new/out.png", "--save-mask", "used.png") == (0, "")
    before, after, hole = pixels(name)[..., :3], pixels("new/out.png"), pixels("used.png") > 0
    assert hole[HOLE].all()
    assert hole.sum() < 2 * HOLE.sum()
    assert np.array_equal(after[..., :3][~hole], before[~hole])
    assert np.abs(after[..., :3][hole].astype(int) - PHOTO[hole]).mean() < 20
    if after.shape[2] == 4:
        assert after[..., 3].min() == 255


@pytest.mark.parametrize(("name", "judged"), [("painted.png", "opaque"), ("veiled.png", "see-through")])
def test_without_an_option_what_shines_through_is_judged(name, judged, run):
    veiled = np.where(HOLE[..., None], PHOTO // 3 + (60, 40, 20), PHOTO).astype(np.uint8)
    Image.fromarray(veiled).save("veiled.png")
    Image.fromarray(cv2.dilate(HOLE.astype(np.uint8), np.ones((9, 9))) * 255).save("wide.png")
    mask = "wide.png" if name == "painted.png" else "mask.png"
    for option in ("opaque", "see-through"):
        assert run(name, "--mask", mask, f"--{option}", "-o", f"{option}.png") == (0, "")
    assert run(name, "--mask", mask, "-o", "out.png") == (0, "")
    assert np.array_equal(pixels("out.png"), pixels(f"{judged}.png"))
    assert not np.array_equal(pixels("opaque.png"), pixels("see-through.png"))


def test_under_a_colour_nothing_is_looked_at_even_where_the_picture_seems_to_shine_through(run):
    speckles = np.random.default_rng(0).integers(2, size=PHOTO.shape) * 255
    speckles[30:100, 40:160] = 128 + (speckles[30:100, 40:160] - 128) // 4
    Image.fromarray(speckles.astype(np.uint8)).save("thick.png")
    assert run("thick.png", "--mask-color", "rgb(128,128,128)", "--save-mask", "used.png", "-o", "out.png")[0] == 0
    assert run("thick.png", "--mask", "used.png", "--opaque", "-o", "opaque.png")[0] == 0
    assert run("thick.png", "--mask", "used.png", "-o", "judged.png")[0] == 0
    assert not np.array_equal(pixels("judged.png"), pixels("opaque.png"))
    assert np.array_equal(pixels("out.png"), pixels("opaque.png"))


def test_a_mask_can_be_proposed_for_review_alone(run, folder):
    scratched = PHOTO.copy()
    scratched[60:62, 20:180] = 255
    Image.fromarray(scratched).save("scratched.png")
    assert run("scratched.png", "--detect", "scratches", "--save-mask", "proposed.png")[0] == 0
    proposed = pixels("proposed.png") > 0
    assert proposed[60:62, 20:180].mean() > 0.9
    assert not (folder / "out.png").exists()


def test_an_object_goes_by_box_point_or_annotation(run):
    segmentation = [[100, 20, 130, 20, 130, 60, 100, 60]]
    dataset = {
        "images": [{"id": 1, "file_name": "photo.png", "width": 200, "height": 128}],
        "annotations": [{"id": 5, "image_id": 1, "segmentation": segmentation}],
    }
    Path("instances.json").write_text(json.dumps(dataset))
    for where in (["100,20,130,60"], ["115,40", "--yes"], ["5", "--annotations", "instances.json"]):
        code, said = run("photo.png", "--remove", *where, "-o", "out.png")
        assert (code, said) == (0, "")
        assert not np.array_equal(pixels("out.png")[25:55, 105:125], PHOTO[25:55, 105:125])
    assert run("photo.png", "--remove", "5", "-o", "out.png") == (
        1,
        "error: --remove with an annotation's id needs --annotations, the COCO instances file\n",
    )


def test_fidelity_chooses_between_texture_and_what_the_generator_gives(run):
    box = ["photo.png", "--remove", "60,30,110,80"]
    for name, options in {
        "default": [],
        "texture": ["--fidelity", "0"],
        "middle": ["--fidelity", "0.5"],
        "faithful": ["--fidelity", "1"],
    }.items():
        assert run(*box, *options, "-o", f"{name}.png", "--save-mask", "used.png") == (0, "")
    hole = pixels("used.png") > 0
    details = [
        np.abs(cv2.Laplacian(pixels(f"{name}.png").astype(float), cv2.CV_64F))[hole].mean()
        for name in ("texture", "middle", "faithful")
    ]
    assert details[0] > 1.5 * details[2]
    assert details[0] > details[1] > details[2]
    assert np.array_equal(pixels("default.png"), pixels("texture.png"))
    expected = Restorer.load().restore(PHOTO, hole, see_through=False, fidelity=1)
    assert np.array_equal(pixels("faithful.png"), expected)


@pytest.mark.parametrize("wrong", ["-1", "1.5", "nan", "much", ""])
def test_fidelity_that_is_no_share_is_refused(wrong, run):
    code, said = run("photo.png", "--mask", "mask.png", "-o", "out.png", f"--fidelity={wrong}")
    assert code == 1
    assert f"argument --fidelity: {wrong!r} is no number from 0 to 1" in said


@pytest.mark.parametrize("factor", [2, 3, 4])
@pytest.mark.parametrize("name", ["photo.png", "cut.png", "deep.png"])
def test_a_picture_is_enlarged(name, factor, run):
    Image.fromarray(PHOTO[..., 1].astype(np.uint16) * 257).save("deep.png")
    assert run(name, "--upscale", str(factor), "-o", "large.png")[0] == 0
    large = Image.open("large.png")
    assert large.size == (200 * factor, 128 * factor)
    assert large.mode == Image.open(name).mode
    small = np.asarray(large.resize((200, 128), Image.Resampling.BOX), float)
    assert np.abs(small - pixels(name)).mean() < 0.02 * pixels(name).max()


@pytest.mark.parametrize(("name", "mode"), [("faded.png", "RGB"), ("faded.tif", "I;16"), ("cut-out.png", "RGBA")])
def test_a_faded_picture_is_revived_with_a_mask_or_without(name, mode, run):
    faded = (PHOTO * 0.4 + 90).round().astype(np.uint8)
    cut = Image.fromarray(np.dstack([faded, np.where(HOLE, 0, 255).astype(np.uint8)]))
    deep = Image.fromarray(faded[..., 1].astype(np.uint16) * 257)
    {"RGB": Image.fromarray(faded), "RGBA": cut, "I;16": deep}[mode].save(name)
    assert run(name, "--revive", "-o", f"out{Path(name).suffix}") == (0, "")
    revived = Image.open(f"out{Path(name).suffix}")
    assert revived.mode == mode
    known = np.asarray(revived)[~HOLE].astype(float).reshape((~HOLE).sum(), -1)[:, 0]
    assert known.std() > 1.5 * np.asarray(Image.open(name))[~HOLE].astype(float).reshape((~HOLE).sum(), -1)[:, 0].std()


def test_reviving_comes_after_restoring(run):
    faded = (PHOTO * 0.4 + 90).round().astype(np.uint8)
    Image.fromarray(np.where(HOLE[..., None], 255, faded).astype(np.uint8)).save("torn.png")
    assert run("torn.png", "--mask", "mask.png", "--opaque", "-o", "restored.png") == (0, "")
    assert run("torn.png", "--mask", "mask.png", "--opaque", "--revive", "0.2", "-o", "out.png") == (0, "")
    assert np.array_equal(pixels("out.png"), revive(pixels("restored.png"), HOLE, 0.2))


def test_of_many_pictures_the_bad_one_is_named_and_the_rest_go_on(run):
    for name in ("a", "b", "sub/c"):
        Path("in", name).parent.mkdir(parents=True, exist_ok=True)
        Path("masks", name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(PHOTO).save(f"in/{name}.jpg", quality=95)
        Image.fromarray(HOLE).save(f"masks/{name}.png")
    Path("in/b.jpg").write_bytes(b"not a picture")
    code, said = run("in", "--mask", "masks", "-o", "out")
    assert code == 1
    assert "error: in/b.jpg: unreadable picture" in said
    assert "error: 1 of 3 not restored" in said
    assert sorted(path.name for path in Path("out").rglob("*.jpg")) == ["a.jpg", "c.jpg"]
    assert "JPEG alters pixels outside the mask" in said
    Path("masks/sub/c.png").unlink()
    Path("masks/a.png").rename("masks/a.PNG")
    said = run("in", "--mask", "masks", "-o", "out")[1]
    assert "error: in/sub/c.jpg: masks/sub/c.png: No such file" in said
    assert "error: 2 of 3 not restored" in said


def test_in_a_folder_what_cannot_be_written_becomes_png_and_what_is_passed_over_is_said(run):
    Path("in").mkdir()
    Image.fromarray(PHOTO).save("in/a.gif")
    Image.fromarray(PHOTO).save("in/b.avif")
    Path("in/c.psd").touch()
    assert run("in", "--mask", "mask.png", "-o", "out") == (0, "note: in: passed over: 1 .psd\n")
    assert sorted(path.name for path in Path("out").iterdir()) == ["a.png", "b.png"]
    assert np.array_equal(pixels("out/a.png")[~HOLE], np.asarray(Image.open("in/a.gif").convert("RGB"))[~HOLE])


def test_what_the_format_does_not_keep_is_one_note(run):
    Image.fromarray(PHOTO).save("photo.tif", xmp=b"<x/>", tiffinfo={700: b"<x/>"})
    note = "note: out.bmp: not kept: XMP\n"
    assert run("photo.tif", "--mask", "mask.png", "-o", "out.bmp") == (0, note)
    assert run("photo.tif", "--upscale", "2", "-o", "out.bmp") == (0, note)


def test_a_mask_that_looks_wrong_is_warned_of(run):
    Image.fromarray(~HOLE).save("inverted.png")
    code, said = run("photo.png", "--mask", "inverted.png", "-o", "out.png")
    assert code == 0
    assert "warning: photo.png: the mask looks inverted" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["photo.png", "-o", "out.png"], "nothing says where to restore"),
        (["photo.png", "--mask", "mask.png"], "where to?"),
        (["photo.png", "--mask", "mask.png", "-o", "photo.png"], "photo.png: would be written over"),
        (["photo.png", "--mask", "mask.png", "-o", "mask.png"], "mask.png: would be written over"),
        (["photo.png", "painted.png", "--mask", "mask.png", "-o", "out.png"], "out.png: one file for many pictures"),
        (["photo.png", "photo.png", "--mask", "mask.png", "-o", "out"], "two pictures would be written to it"),
        (["photo.png", "--mask", "mask.png", "-o", "out.gif"], "out.gif: no such format"),
        (["photo.png", "--mask", "mask.png", "-o", "new"], "new: no folder there, and no suffix of a format; make the"),
        (["photo.png", "--mask", "", "-o", "out.png"], "argument --mask: is empty; see mend --help"),
        (["photo.png", "--mask", "mask.png", "-o", ""], "argument -o/--output: is empty"),
        (["photo.png", "--mask", "mask.png", "--save-mask", ""], "argument --save-mask: is empty"),
        (["", "--mask", "mask.png", "-o", "out.png"], "argument pictures: is empty"),
        (["photo.png", "--mask", "mask.png", "-o", "out.png", "--model", ""], "argument --model: is empty"),
        (["photo.png", "--remove", "5", "--annotations", "", "-o", "out.png"], "argument --annotations: is empty"),
        (["photo.png", "--upscal", "2", "-o", "out.png"], "unrecognized arguments: --upscal 2; see mend --help"),
        (["photo.png", "--remove", "1,2,3", "-o", "out.png"], "'1,2,3' is neither LEFT,TOP,RIGHT,BOTTOM nor X,Y nor"),
        (["photo.png", "--mask-color", "nocolour", "-o", "out.png"], "invalid colour value"),
        *[
            (["photo.png", "--mask-color", colour, "-o", "out.png"], f"invalid colour value '{colour}'")
            for colour in ("rgb(999,0,999)", "rgb(0,256,0)", "")
        ],
        (["photo.png", "--upscale", "2", "-o", "o.png", "--save-mask", "out.png"], "leave --save-mask out"),
        (["photo.png", "--upscale", "2", "-o", "o.png", "--texture", "x"], "--texture MODEL together; give both, or"),
        (["photo.png", "--upscale", "2", "-o", "o.png", "--fidelity", "0"], "--fidelity below 1 and --texture MODEL"),
        (["photo.png", "--upscale", "2", "-o", "o.png", "--grow", "1", "--opaque"], "leave --grow, --opaque out"),
        (["photo.png", "--upscale", "2", "-o", "o.png", "--revive", "0"], "restores no hole; leave --revive out"),
        (["photo.png", "--upscale", "2", "-o", "o.png", "--fidelity", "0.5", "--texture", "x"], "x: no such model"),
        (["photo.png", "--upscale", "2", "--save-mask", "out.png"], "name the enlarged picture with -o"),
        (["photo.png", "--upscale", "2", "-o", "out.gif"], "no such format"),
        (["photo.png", "--upscale", "2", "-o", "out.png", "--model", "restore"], "keeps the size of a picture"),
        (["photo.png", "--upscale", "5", "-o", "out.png"], "invalid choice: 5"),
        (["photo.png", "--mask", "nothing.png", "-o", "out.png"], "photo.png: nothing.png: No such file"),
        (["/dev/null", "--mask", "mask.png", "-o", "out.png"], "/dev/null: a device, which may have no end"),
        (["photo.png", "--mask", "/dev/null", "-o", "out.png"], "/dev/null: a device, which may have no end"),
        (["nothing.png", "--mask", "mask.png", "-o", "out.png"], "nothing.png: No such file"),
        (["empty", "--mask", "mask.png", "-o", "out"], "empty: no pictures in it"),
        (["photo.png", "--mask", "mask.png", "-o", "out.png", "--model", "empty"], "empty: no model"),
        (["photo.png", "--remove", "500,500,600,600", "-o", "out.png"], "photo.png: the box"),
        (["photo.png", "--mask", "mask.png", "--opaque", "--see-through", "-o", "out.png"], "not allowed with"),
        (["photo.png", "--remove", "20,50,180,58", "--see-through", "-o", "out.png"], "--see-through needs --mask"),
        (["painted.png", "--mask-color", "#ff00ff", "--see-through", "-o", "out.png"], "--see-through needs --mask"),
        (["cut.png", "--see-through", "-o", "out.png"], "--see-through needs --mask"),
    ],
)
def test_each_mistake_is_one_line(arguments, said, run, folder):
    (folder / "empty").mkdir()
    code, lines = run(*arguments)
    assert code == 1
    assert said in lines
    assert len(lines.strip().splitlines()) == 1
    assert not (folder / "out.png").exists()


LONG = ["9" * 5000, "9" * 4000, "x" * 5000, ",".join(["9" * 1000] * 4), "x/" * 2000, "x" * 5000 + ".png"]


@pytest.mark.parametrize(
    "option", ["", "--mask", "--mask-color", "--detect", "--remove", "--upscale", "--grow", "--model", "-o", "--bogus"]
)
@pytest.mark.parametrize("value", LONG, ids=range(len(LONG)))
def test_a_long_value_is_told_in_few_words(option, value, run, folder):
    call = {"photo.png": None, "--mask": "mask.png", "-o": "out.png"}
    if option in {"--mask-color", "--detect", "--remove", "--upscale"}:
        del call["--mask"]
    call = {value: None} | dict(list(call.items())[1:]) if not option else call | {option: value}
    code, said = run(*(part for pair in call.items() for part in pair if part), "--annotations", "none.json")
    assert code == 1
    assert len(said.splitlines()) == 1
    assert len(said) < 520
    assert not (folder / "out.png").exists()


@pytest.mark.parametrize("colour", ["#ff00ff", "#00ff00"])
def test_paint_in_a_jpeg_leaves_no_tint(colour, run):
    rgb = ImageColor.getrgb(colour)
    Image.fromarray(np.where(HOLE[..., None], rgb, PHOTO).astype(np.uint8)).save("painted.jpg", quality=85)
    assert run("painted.jpg", "--mask-color", colour, "-o", "out.png")[0] == 0
    off = (pixels("out.png").astype(float) - PHOTO)[HOLE].mean(axis=0)
    paint = np.array(rgb) - PHOTO[HOLE].mean(axis=0)
    assert off @ paint / np.linalg.norm(paint) < 8
    code, said = run("photo.png", "--mask-color", colour, "-o", "nothing.png")
    assert (code, said.split(", or")[0]) == (1, f"error: photo.png: no pixel is painted {colour}")
    assert not Path("nothing.png").exists()


@pytest.mark.parametrize("options", [["--mask", "mask.png"], ["--mask-color", "#ff00ff"], ["--remove", "20,50,180,58"]])
def test_any_mask_can_be_grown(options, run):
    name = "painted.png" if "--mask-color" in options else "photo.png"
    assert run(name, *options, "--save-mask", "close.png")[0] == 0
    assert run(name, *options, "--grow", "5", "-o", "out.png", "--save-mask", "wide.png")[0] == 0
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (11, 11))
    close, wide = pixels("close.png"), pixels("wide.png")
    assert (wide >= cv2.erode(cv2.dilate(close, disc), np.ones((3, 3)))).all()
    assert not wide[cv2.dilate(close, np.ones((13, 13))) == 0].any()
    before, after = pixels(name)[..., :3], pixels("out.png")
    assert np.array_equal(after[wide == 0], before[wide == 0])


def test_a_rotated_picture_with_alpha_is_restored_in_windows_alone(run, monkeypatch):
    cut = Image.open("cut.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    cut.transpose(Image.Transpose.ROTATE_90).save("turned.png", exif=exif)
    assert run("turned.png", "-o", "whole.png") == (0, "")
    monkeypatch.setattr(windows, "WHOLE", 0)
    monkeypatch.setattr(windows, "CELL", 16)
    assert run("turned.png", "-o", "windows.png") == (0, "")
    whole, part = pixels("whole.png").astype(int), pixels("windows.png")
    assert np.abs(whole - part).max() <= 1
    assert part[..., 3].min() == 255


@pytest.mark.parametrize("orientation", [1, 6])
def test_holes_far_apart_are_all_restored_and_nothing_else_changes(orientation, run, monkeypatch):
    strip, hole = np.tile(PHOTO[:64], (1, 10, 1)), np.zeros((64, 2000), np.uint8)
    hole[20:30, 40:52] = hole[40:50, 1000:1010] = hole[5:30, 1970:1980] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    turned = Image.fromarray(strip) if orientation == 1 else Image.fromarray(strip).transpose(Image.Transpose.ROTATE_90)
    turned.save("strip.png", exif=exif)
    Image.fromarray(hole).save("holes.png")
    assert run("strip.png", "--mask", "holes.png", "-o", "whole.png") == (0, "")
    monkeypatch.setattr(windows, "WHOLE", 0)
    monkeypatch.setattr(windows, "CELL", 16)
    assert len(windows.separate_boxes(hole > 0)) == 3
    assert run("strip.png", "--mask", "holes.png", "-o", "apart.png") == (0, "")
    upright = (np.asarray(ImageOps.exif_transpose(Image.open(name))) for name in ("whole.png", "apart.png"))
    whole, apart = (image.astype(int) for image in upright)
    assert np.abs(whole - apart).max() <= 1
    assert np.array_equal(apart[hole == 0], strip[hole == 0])
    assert (apart != strip).any(axis=-1)[hole > 0].mean() > 0.5


PIPED = [sys.executable, "-m", "pipeline.commands.mend", "--model", str(ROOT / "models/restore/generator.onnx")]
ALONE = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.mark.parametrize(("name", "kind"), [("photo.png", "PNG"), ("photo.jpg", "JPEG")])
def test_a_picture_comes_from_stdin_and_goes_to_stdout_in_its_format(name, kind, folder, run):
    Image.fromarray(PHOTO).save("photo.jpg")
    done = subprocess.run(
        [*PIPED, "-", "--mask", "mask.png", "-o", "-"],
        input=Path(name).read_bytes(),
        capture_output=True,
        check=True,
        env=ALONE,
    )
    assert run(name, "--mask", "mask.png", "-o", f"expected{Path(name).suffix}")[0] == 0
    with Image.open(io.BytesIO(done.stdout)) as image:
        assert image.format == kind
        assert np.abs(np.asarray(image).astype(int) - pixels(f"expected{Path(name).suffix}")).max() <= 4
    assert len(done.stderr.splitlines()) == (kind == "JPEG")
    assert b"/" not in done.stderr


def bmp_with_alpha(pixels: np.ndarray) -> bytes:
    """With a header of version 4, which Pillow reads and does not write."""
    height, width, _ = pixels.shape
    size = struct.pack("<IiiHHIIiiII", 108, width, height, 1, 32, 3, pixels.nbytes, 0, 0, 0, 0)
    masks = struct.pack("<4I", 0xFF << 16, 0xFF << 8, 0xFF, 0xFF << 24) + bytes(52)
    start = struct.pack("<2sIHHI", b"BM", 14 + 108 + pixels.nbytes, 0, 0, 14 + 108)
    return start + size + masks + pixels[::-1, :, [2, 1, 0, 3]].tobytes()


def test_a_bmp_with_alpha_goes_to_stdout_as_a_png(folder):
    Path("cut.bmp").write_bytes(bmp_with_alpha(pixels("cut.png")))
    Image.fromarray(PHOTO).save("photo.bmp")
    for name, mode, kind in (("cut.bmp", "RGBA", "PNG"), ("photo.bmp", "RGB", "BMP")):
        assert Image.open(name).mode == mode
        command = [*PIPED, name, "--mask", "mask.png", "-o", "-"]
        done = subprocess.run(command, capture_output=True, check=True, env=ALONE)
        with Image.open(io.BytesIO(done.stdout)) as image:
            assert (image.format, image.mode) == (kind, mode)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-", "--mask", "-", "-o", "out.png"], "-: stdin holds one picture"),
        (["photo.png", "--mask", "mask.png", "-o", "-", "--save-mask", "-"], "-: stdout holds one picture"),
        (["photo.png", "photo.png", "--mask", "mask.png", "-o", "-"], "-: stdout holds one picture"),
        (["-", "--mask", "mask.png", "-o", "out.png"], "stdin: unreadable picture"),
        (["photo.png", "--mask", "-", "-o", "out.png"], "stdin: unreadable picture"),
    ],
)
def test_each_mistake_with_a_stream_is_one_line(arguments, said, folder):
    done = subprocess.run([*PIPED, *arguments], check=False, input=b"no picture", capture_output=True, env=ALONE)
    assert done.returncode == 1
    assert said in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1
    assert b"/tmp" not in done.stderr and b" at 0x" not in done.stderr
    assert done.stdout == b""


@pytest.mark.parametrize("arguments", [["-", "--mask", "mask.png"], ["photo.png", "--mask", "-"]])
def test_a_stream_without_an_end_is_one_line(arguments, folder):
    code = "from pipeline.commands import mend, mend_files; mend_files.MOST = 10**6; mend.main()"
    with Path("/dev/zero").open("rb") as endless:
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments, "-o", "out.png"],
            check=False,
            stdin=endless,
            capture_output=True,
            text=True,
            env=ALONE,
            timeout=60,
        )
    assert done.returncode == 1
    assert done.stderr == "error: -: more than 1000000 bytes come from stdin, as from no picture; connect it to one\n"
    assert not (folder / "out.png").exists()


def test_who_stops_reading_stdout_gets_one_line(folder):
    read, written = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*PIPED, "photo.png", "--mask", "mask.png", "-o", "-"],
        check=False,
        stdout=written,
        stderr=subprocess.PIPE,
        env=ALONE,
    )
    os.close(written)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("- --mask mask.png -o out.png <&-", "error: -: stdin is closed; connect it to a file or a program\n"),
        ("photo.png --mask - -o out.png <&-", "error: -: stdin is closed; connect it to a file or a program\n"),
        ("photo.png --mask mask.png -o - >&-", "error: -: stdout is closed; connect it to a file or a program\n"),
        (
            "photo.png --mask mask.png --save-mask - >&-",
            "error: -: stdout is closed; connect it to a file or a program\n",
        ),
        ("photo.png --remove 20,50 -o out.png <&-", "error: what is at --remove X,Y is a guess, often wrong: "),
        ("photo.png --remove 20,50 -o out.png 2>&-", ""),
        (
            "photo.png --mask mask.png -o - >/dev/full",
            "error: stdout: No space left on device; make room and run again\n",
        ),
        ("--help >/dev/full", "error: stdout: No space left on device; make room and run again\n"),
    ],
)
def test_a_stream_that_is_closed_or_full_is_one_line(arguments, line, folder):
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {arguments}', "sh", *PIPED], check=False, capture_output=True, text=True, env=ALONE
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(line)
    assert len(done.stderr.splitlines()) == (1 if line else 0)
    assert not (folder / "out.png").exists()


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_not_needed_may_be_closed(closed, folder):
    call = f'exec "$@" photo.png --mask mask.png -o out.jpg {closed}'
    subprocess.run(["sh", "-c", call, "sh", *PIPED], check=True, env=ALONE)
    assert pixels("out.jpg").shape == PHOTO.shape


def test_what_is_said_on_a_closed_stderr_does_not_go_into_the_picture(folder):
    call = 'exec "$@" photo.jpg --mask mask.png -o - 2>&-'
    Image.fromarray(PHOTO).save("photo.jpg")
    done = subprocess.run(["sh", "-c", call, "sh", *PIPED], check=True, capture_output=True, env=ALONE)
    assert done.stdout.startswith(b"\xff\xd8") and done.stdout.endswith(b"\xff\xd9")


def test_ctrl_c_while_it_imports_is_one_line(folder):
    Path("cv2.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    for start in ("import sys; sys.argv[0] = 'mend'; from pipeline.commands.mend import main", None):
        started = [sys.executable, "-c", start] if start else PIPED
        environment = ALONE | {"PYTHONPATH": f"{folder}:{ROOT}"}
        done = subprocess.run(started, check=False, capture_output=True, text=True, env=environment)
        assert (done.returncode, done.stderr) == (130, "error: stopped by SIGINT; run the same command again\n")


def test_ctrl_c_while_it_writes_is_one_line_and_leaves_nothing(run, folder, monkeypatch):
    before = sorted(folder.iterdir())

    def save(image, path, *arguments, **settings):
        Path(path).write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Image.Image, "save", save)
    code, said = run("photo.png", "--mask", "mask.png", "-o", "out.png")
    assert (code, said) == (130, "error: stopped by SIGINT; run the same command again\n")
    assert sorted(folder.iterdir()) == before


def test_it_says_its_version(folder):
    done = subprocess.run([*PIPED, "--version"], capture_output=True, text=True, check=True, env=ALONE)
    assert done.stdout == f"mendline {command_line.version()}\n"


def test_the_command_runs_by_itself(folder):
    command = [sys.executable, "-m", "pipeline.commands.mend", "photo.png", "--mask", "mask.png", "-o", "out.png"]
    subprocess.run(command, check=True, env={"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"})
    assert np.array_equal(pixels("out.png")[~HOLE], PHOTO[~HOLE])
