from pipeline.evaluation.holes import Holes


def test_pairs_with_a_hole_are_measured_as_every_method_fills_it(comparison):
    holes = Holes(["lattice"])
    scores = comparison.scores(holes)
    table = holes.table()
    assert table.method.tolist() == scores[scores.corruption == "stain"].method.unique().tolist()
    assert (table.pairs == 2).all()
    assert table.columns.tolist() == ["method", "pairs", "lattice_4", "lattice_8", "lattice_16"]
    alike = table.set_index("method")
    assert alike.lattice_4["gan"] == alike.lattice_4["mean"] != alike.lattice_4["untouched"]


def test_without_a_measure_there_is_no_line(comparison):
    holes = Holes([])
    comparison.scores(holes)
    assert holes.table().empty
    assert Holes(["lattice"]).table().empty
