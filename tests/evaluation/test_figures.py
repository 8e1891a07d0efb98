from pipeline.evaluation import figures, tables
from pipeline.evaluation.baselines import BASELINES


def test_the_figures_show_every_corruption(comparison):
    table = comparison.scores()
    width, height = figures.grid(comparison, table, rows=2).size
    assert width >= 4 * 32
    assert height >= 32
    assert figures.cases(comparison, table, rows=2).size == (width, height)
    assert len(figures.bars(tables.by_corruption(table)).axes) == 2


def test_the_bars_name_every_method_and_the_unit(comparison):
    figure = figures.bars(tables.by_corruption(comparison.scores()))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [
        *(baseline.label for baseline in BASELINES.values()),
        "GAN",
    ]
    assert [axis.get_ylabel() for axis in figure.axes] == ["PSNR (dB)", "SSIM"]


def test_a_pair_is_shown_beside_its_tasks_baseline(comparison):
    table = comparison.scores()
    for row, name in ((0, "telea"), (2, "bicubic")):
        sheet = figures.side_by_side(comparison, [row], table)
        shown = comparison.restorations(row)[name].tobytes()
        across, down = sheet.width - 31, sheet.height - 31
        places = [(left, top, left + 32, top + 32) for left in range(across) for top in range(down)]
        assert any(sheet.crop(place).tobytes() == shown for place in places)
