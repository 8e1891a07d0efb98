import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from benchmarks import superres
from pipeline.runtime.errors import UserError

METHODS = {
    superres.BICUBIC: superres.of_filter(Image.Resampling.BICUBIC),
    "Lanczos": superres.of_filter(Image.Resampling.LANCZOS),
}


def drawn(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Waves of three colours, uint8 RGB."""
    rows, columns = np.mgrid[:height, :width]
    waves = [np.sin(rows / (4 + seed + shift) + columns / (6 + shift)) for shift in range(3)]
    return (127.5 + 127.5 * np.stack(waves, axis=-1)).astype(np.uint8)


def stored(folder: Path, **pictures: np.ndarray) -> Path:
    folder.mkdir()
    for name, picture in pictures.items():
        Image.fromarray(picture).save(folder / f"{name}.png")
    return folder


@pytest.mark.parametrize(
    ("colour", "expected"),
    [((0, 0, 0), 16), ((255, 255, 255), 235), ((255, 0, 0), 81.481), ((0, 255, 0), 144.553), ((0, 0, 255), 40.966)],
)
def test_luma_is_that_of_bt_601(colour, expected):
    assert superres.luma(np.full((2, 3, 3), colour, np.uint8)) == pytest.approx(np.full((2, 3), expected))


@pytest.mark.parametrize(("factor", "shape"), [(2, (40, 46)), (3, (39, 45)), (4, (40, 44))])
def test_an_original_is_cropped_below_and_to_the_right(factor, shape):
    picture = drawn(41, 47)
    assert (superres.cropped(picture, factor) == picture[: shape[0], : shape[1]]).all()


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_the_border_does_not_count(factor):
    original = drawn(48, 48)
    inside = np.s_[factor:-factor, factor:-factor]
    enlarged = 255 - original
    enlarged[inside] = original[inside]
    enlarged[20, 20] ^= 16
    found = superres.luma_scores(enlarged, original, factor, False)
    expected = peak_signal_noise_ratio(superres.luma(original)[inside], superres.luma(enlarged)[inside], data_range=255)
    assert found["psnr"] == pytest.approx(expected)
    enlarged[inside][0, 0] ^= 16
    assert superres.luma_scores(enlarged, original, factor, False)["psnr"] < expected


def test_of_grey_pictures_the_values_count_whose_range_is_wider():
    original = np.repeat(drawn(48, 48)[..., :1], 3, axis=-1)
    enlarged = original ^ 8
    assert superres.luma_scores(enlarged, original, 2, True)["psnr"] == pytest.approx(20 * np.log10(255 / 8))
    narrower = superres.luma_scores(enlarged, original, 2, False)["psnr"]
    assert narrower == pytest.approx(20 * np.log10(255 / 8 * 255 / 219))


def test_shrinking_is_that_of_matlab():
    """By hand: Keys' kernel, a = -0.5, at -1.75, -1.25 ... 1.75, halved for a factor of 2."""
    step = np.zeros((16, 16, 3), np.uint8)
    step[:, 8:] = 255
    weights = np.array([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
    before, after = 255 * weights[5:].sum(), 255 * weights[3:].sum()
    assert superres.shrunk(step, 2)[0, :, 0].tolist() == [0, 0, 0, round(before), round(after), 255, 255, 255]


def test_bicubic_scores_as_that_of_matlab():
    """The figures are of an imresize in float64 after MATLAB's, which rounds what it gives."""
    original = np.where(drawn(96, 96) > 127, np.uint8(200), np.uint8(40))
    found = [
        superres.luma_scores(METHODS["bicubic"](superres.shrunk(original, factor), factor), original, factor, False)
        for factor in (2, 3, 4)
    ]
    assert [line["psnr"] for line in found] == pytest.approx([26.863, 24.989, 23.687], abs=0.01)


def test_a_set_is_measured_and_stands_beside_what_is_published(tmp_path):
    grey = drawn(50, 40, 1)[..., 0]
    folder = stored(tmp_path / "Set5", colour=drawn(41, 47), grey=grey)
    assert superres.is_grey(folder / "grey.png")
    assert not superres.is_grey(folder / "colour.png")
    scores = superres.measure(folder, 2, METHODS)
    assert scores.shape == (4, 5)
    assert (scores.psnr > 20).all()
    assert scores.ssim.between(0.5, 1).all()
    table = superres.beside_published(scores, "Set5")
    assert [*table.columns] == ["x2"]
    assert table.loc["VDSR, published", "x2"] == "37.53"
    mean = scores[scores.method == "bicubic"].psnr.mean()
    assert table.loc["bicubic", "x2"].startswith(f"{mean:.2f} / 0.")
    assert superres.against_published(scores, "Set5").startswith(f"bicubic is not as published: {mean - 33.66:+.3f} at")
    same = scores.assign(psnr=33.68)
    assert superres.against_published(same, "Set5") == "bicubic is as published: +0.020 at x2 dB"
    assert [*superres.beside_published(scores, "drawn").index] == ["bicubic", "Lanczos"]


def test_photos_are_measured_by_input(tmp_path):
    folder = stored(tmp_path / "photos", one=drawn(41, 47), two=drawn(50, 40, 1), known=drawn(40, 40))
    methods = {2: METHODS, 4: {"bicubic": METHODS["bicubic"]}}
    scores = superres.measure_rgb(folder, methods, {"known.png"})
    assert {*scores.picture} == {"one.png", "two.png"}
    with pytest.raises(UserError, match="the model was trained on all of its photos"):
        superres.measure_rgb(folder, methods, {"one.png", "two.png", "known.png"})
    table = superres.beside_bicubic(scores, "psnr")
    assert [*table.index] == ["x2, bicubic", "x4, bicubic", "x2, box", "x2, bicubic, JPEG 80"]
    assert [*table.columns] == ["bicubic", "Lanczos"]
    assert table.loc["x4, bicubic", "Lanczos"] == ""
    means = scores[scores.input == "x2, bicubic"].groupby("method").psnr.mean()
    assert table.loc["x2, bicubic", "Lanczos"] == f"{means.Lanczos - means.bicubic:+.2f}"
    assert float(table.loc["x2, bicubic, JPEG 80", "bicubic"]) < float(table.loc["x2, bicubic", "bicubic"])


def test_a_model_says_what_it_was_trained_on(tmp_path):
    assert "000000000009.jpg" in superres.trained_photos("superres")
    assert superres.trained_photos(str(tmp_path)) == set()


def test_who_does_not_know_a_factor_is_left_out_with_a_line(capsys):
    def knows_two(image: np.ndarray, factor: int) -> np.ndarray:
        if factor != 2:
            raise UserError("other: knows 2")
        return image

    assert superres.that_enlarge({"other": knows_two}, 2) == {"other": knows_two}
    assert superres.that_enlarge({"other": knows_two} | METHODS, 3) == METHODS
    assert capsys.readouterr().out == "left out at x3: other: knows 2\n"


def test_the_command_prints_its_tables(tmp_path, monkeypatch, capsys):
    folder = stored(tmp_path / "Set14", one=drawn(48, 48))
    monkeypatch.setattr(sys, "argv", ["superres", "--sets", "Set14"])
    superres.main([folder], folder, [2], METHODS | {"superres": superres.of_model("superres")}, [])
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "$ python -m benchmarks.superres --sets Set14"
    assert "Set14: 1 pictures; PSNR of Y in dB / SSIM of Y" in said
    assert any(line.startswith("bicubic is not as published: ") for line in said)
    assert sum(line.startswith("| superres") for line in said) == 1
    assert any(line.startswith("| x2, box") for line in said)


def test_without_pictures_nothing_is_measured(tmp_path):
    with pytest.raises(UserError, match="no pictures to measure with; give --sets or --rgb"):
        superres.main([], None, [2], METHODS, [])
    with pytest.raises(UserError, match="nowhere: no pictures in it or below it"):
        superres.measure(tmp_path / "nowhere", 2, METHODS)


def test_a_picture_is_refused_where_no_window_of_ssim_fits(tmp_path):
    folder = stored(tmp_path / "small", small=drawn(31, 40))
    with pytest.raises(UserError, match=r"small.png: 40 x 31 px; expected sides of at least 32 px"):
        superres.measure(folder, 2, METHODS)


def test_a_network_of_keras_computes_layer_by_layer():
    def layer(kind: str, name: str, *inputs: str, **config: object) -> dict:
        nodes = [[[given, 0, 0, {}] for given in inputs]] if inputs else []
        return {"class_name": kind, "config": {"name": name, **config}, "inbound_nodes": nodes}

    layers = [
        layer("InputLayer", "in"),
        layer("Conv2D", "swap", "in"),
        layer("Activation", "relu", "swap", activation="relu"),
        layer("Add", "sum", "in", "relu"),
        layer("UpSampling2D", "out", "sum", size=[2, 2], interpolation="nearest"),
    ]
    weights = {"swap/kernel": torch.eye(3).flip(0)[None, None], "swap/bias": torch.tensor([0.0, 0.0, -9.0])}
    found = superres.run_layers(layers, weights, torch.tensor([1.0, 2.0, 3.0])[None, :, None, None])
    assert found[0].tolist() == [[[value] * 2] * 2 for value in (4.0, 4.0, 3.0)]
    with pytest.raises(UserError, match="the layer odd is a Lambda, which is not known here"):
        superres.run_layers([layer("Lambda", "odd")], {}, torch.zeros(1, 3, 1, 1))


def test_depth_becomes_space_as_in_tensorflow():
    """Of four places the first three values are the colours of the first: rows, columns, colours."""
    found = superres.depth_to_space(torch.arange(12.0)[None, :, None, None])
    assert found[0].permute(1, 2, 0).tolist() == [[[0, 1, 2], [3, 4, 5]], [[6, 7, 8], [9, 10, 11]]]
