from pipeline.training.schedule import share_of_peak


def test_the_learning_rate_rises_and_falls_to_nothing():
    rates = [share_of_peak("cosine", step, 100) for step in range(100)]
    assert max(rates) == 1
    assert rates[0] < 0.25
    assert rates[-1] < 0.01


def test_a_constant_learning_rate_rises_and_stays_whatever_the_number_of_steps():
    rates = [share_of_peak("constant", step, 1000) for step in range(300)]
    assert rates == sorted(rates)
    assert rates[0] < 0.25
    assert rates[150:] == [1] * 150
    assert rates == [share_of_peak("constant", step, 300) for step in range(300)]
