"""Duration families against scipy."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from conv2d.temporal import durations as du

D = np.arange(1, 41)
CUT = 40


@pytest.mark.parametrize(
    ("family", "weight"),
    [
        (du.Poisson(6.5, CUT), stats.poisson.pmf(D - 1, 6.5)),
        (du.NegativeBinomial(2.5, 0.3, CUT), stats.nbinom.pmf(D - 1, 2.5, 0.3)),
        (du.Geometric(0.9, CUT), stats.geom.pmf(D, 0.1)),
        (du.LogNormal(2.0, 0.7, CUT), stats.lognorm.pdf(D, 0.7, scale=np.exp(2.0))),
        (du.Gamma(3.5, 4.0, CUT), stats.gamma.pdf(D, 3.5, scale=4.0)),
        (du.HeadTail((0.1, 0.0, 0.5), 0.8, CUT), np.r_[0.1, 0.0, 0.5, 0.4 * 0.2 * 0.8 ** np.arange(37)]),
        (du.HeadTail((0.25, 0.75), 0.5, CUT), np.r_[0.25, 0.75, np.zeros(38)]),
        (du.MinimumDwell(du.Poisson(6.5, CUT), 5), np.where(D >= 5, stats.poisson.pmf(D - 1, 6.5), 0.0)),
        (du.Categorical(tuple(D / D.sum())), D),
    ],
    ids=lambda value: type(value).__name__,
)
def test_family_is_scipys_cut_and_normalised(family: du.Duration, weight: NDArray[np.float64]) -> None:
    log_pmf = family.log_pmf()
    assert log_pmf.dtype == np.float64
    assert isinstance(family, du.Duration)
    np.testing.assert_allclose(np.exp(log_pmf), weight / weight.sum(), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize(
    ("family", "beyond"),
    [
        (du.Poisson(300.0), lambda d: stats.poisson.sf(d - 1, 300.0)),
        (du.NegativeBinomial(0.5, 0.05), lambda d: stats.nbinom.sf(d - 1, 0.5, 0.05)),
        (du.Geometric(0.99), lambda d: stats.geom.sf(d, 0.01)),
        (du.HeadTail((0.5,), 0.9), lambda d: 0.5 * 0.9 ** (d - 1.0)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_without_a_longest_duration_less_than_1e_9_is_left_out(family: du.Duration, beyond) -> None:
    log_pmf = family.log_pmf()
    assert np.exp(log_pmf).sum() == pytest.approx(1.0, abs=1e-12)
    # 1 % of slack: the mass left out is itself summed in rounded terms.
    assert beyond(log_pmf.size) < 1.01e-9 <= 1.02 * beyond(log_pmf.size - 1)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: du.Poisson(0.0), ValueError, "rate"),
        (lambda: du.NegativeBinomial(-1.0, 0.5), ValueError, "r must"),
        (lambda: du.NegativeBinomial(1.0, 1.0), ValueError, "p must"),
        (lambda: du.Geometric(1.0), ValueError, "stay"),
        (lambda: du.LogNormal(float("nan"), 1.0), ValueError, "mu"),
        (lambda: du.LogNormal(1.0, 0.0), ValueError, "sigma"),
        (lambda: du.Gamma(1.0, float("inf")), ValueError, "scale"),
        (lambda: du.Categorical((0.5, 0.4)), ValueError, "sum to 1"),
        (lambda: du.Categorical((1.5, -0.5)), ValueError, "minimum -0.5"),
        (lambda: du.Categorical(()), ValueError, "at least one"),
        (lambda: du.HeadTail((0.8, 0.4), 0.5), ValueError, "at most 1"),
        (lambda: du.MinimumDwell(du.Poisson(1.0), 0), ValueError, "steps"),
        (lambda: du.MinimumDwell(du.Categorical((1.0,)), 2).log_pmf(), ValueError, "positive probability"),
        (lambda: du.Poisson(1.0, max_duration=0).log_pmf(), ValueError, "max_duration"),
        (lambda: du.Poisson(1.0, max_duration=2.5).log_pmf(), TypeError, "max_duration"),  # pyright: ignore[reportArgumentType]
        (lambda: du.LogNormal(8.0, 3.0).log_pmf(), ValueError, "give max_duration"),
    ],
)
def test_bad_parameters_are_named(build, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        build()
