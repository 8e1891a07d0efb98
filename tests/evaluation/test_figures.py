import numpy as np
from PIL import Image

from pipeline.evaluation import figures, tables
from pipeline.evaluation.baselines import BASELINES
from pipeline.evaluation.comparison import Comparison
from pipeline.evaluation.figures import RESTORED
from pipeline.images.grid import image_grid


def test_the_figures_show_every_corruption(comparison):
    table = comparison.scores()
    width, height = figures.grid(comparison, table, RESTORED, rows=2).size
    assert width >= 4 * 32
    assert height >= 32
    assert figures.cases(comparison, table, RESTORED, rows=2).size == (width, height)
    assert len(figures.bars(tables.by_corruption(table), RESTORED).axes) == 2


def test_the_bars_name_every_method_and_the_unit(comparison):
    figure = figures.bars(tables.by_corruption(comparison.scores()), RESTORED)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        *(baseline.label for baseline in BASELINES.values() if not baseline.slow),
        "GAN",
    ]
    assert [axis.get_ylabel() for axis in figure.axes] == ["PSNR (dB)", "SSIM"]


def places(sheet: Image.Image, picture: np.ndarray) -> list[tuple[int, int]]:
    """Left and top of a picture, wherever the sheet has it, pixel for pixel; in the order of the sheet's rows."""
    height, width = picture.shape[:2]
    windows = np.lib.stride_tricks.sliding_window_view(np.asarray(sheet), (height, width, 3))[..., 0, :, :, :]
    tops, lefts = np.nonzero((windows[..., 0, 0, :] == picture[0, 0]).all(axis=2))
    found = zip(lefts.tolist(), tops.tolist(), strict=True)
    return sorted((left, top) for left, top in found if np.array_equal(windows[top, left], picture))


def originals(comparison: Comparison, sheet: Image.Image) -> list[int]:
    """The pairs that a sheet shows, as often as it does, in the order of its rows."""
    pictures = [comparison.pairs.pictures(row)[0] for row in range(len(comparison.pairs))]
    return [row for _, row in sorted((at, row) for row, each in enumerate(pictures) for at in places(sheet, each))]


def test_a_pair_is_shown_beside_its_tasks_baseline(comparison):
    table = comparison.scores()
    for row, name in ((0, "telea"), (2, "bicubic")):
        sheet = figures.side_by_side(comparison, [row], table, RESTORED)
        assert places(sheet, comparison.restorations(row)[name])


def test_a_row_says_what_it_shows_and_what_the_gan_gains(comparison):
    table = comparison.scores()
    psnr = table[table.image_id == 0].set_index("method").psnr
    target, image, _ = comparison.pairs.pictures(0)
    restored = comparison.restorations(0)
    row, gain = [image, restored["telea"], restored["gan"], target], psnr.gan - psnr.telea
    expected = image_grid([row], ["corrupted", "Telea / bicubic", "GAN", "original"], [f"stain {gain:+.1f} dB"])
    assert gain > 0
    assert figures.side_by_side(comparison, [0], table, RESTORED).tobytes() == expected.tobytes()


def test_the_grid_has_a_row_of_each_corruption(comparison):
    shown = originals(comparison, figures.grid(comparison, comparison.scores(), RESTORED, rows=2))
    assert sorted(comparison.labels[row] for row in shown) == ["lowres_x2", "stain"]


def test_of_the_cases_the_best_comes_first_and_the_worst_last(comparison):
    table = comparison.scores()
    psnr = table.pivot(index="image_id", columns="method", values="psnr")
    gain = psnr.gan - psnr.telea.fillna(psnr.bicubic)
    assert originals(comparison, figures.cases(comparison, table, RESTORED, rows=2)) == [gain.idxmax(), gain.idxmin()]


def test_the_bars_are_as_high_as_the_scores(comparison):
    means = tables.by_corruption(comparison.scores())
    for axis, metric in zip(figures.bars(means, RESTORED).axes, ("psnr", "ssim"), strict=True):
        heights = [bar.get_height() for bar in axis.patches if np.isfinite(bar.get_height()) and bar.get_height()]
        assert sorted(heights) == sorted(means[metric])
