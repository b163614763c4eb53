"""Writes the golden data of stats/tests/judging.rs beside this file.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python generate.py

Agreement comes from krippendorff, its bootstrap over clusters from NumPy's random numbers; the regression on
length comes from statsmodels. Cohen's kappa comes from scikit-learn, its bootstrap likewise from NumPy.
"""

import json
from importlib.metadata import version
from pathlib import Path

import krippendorff
import numpy as np
import statsmodels.api as sm
from sklearn.metrics import cohen_kappa_score

HERE = Path(__file__).parent
RESAMPLES = 20_000


def write(name, packages, cases):
    """Writes one file, its versions first, one case a line."""
    versions = {package: version(package) for package in packages}
    lines = ",\n".join(json.dumps(case, allow_nan=False) for case in cases)
    text = f'{{"versions": {json.dumps(versions)},\n"cases": [\n{lines}\n]}}\n'
    (HERE / f"{name}.json").write_text(text)


def alpha_of(items):
    """Krippendorff's alpha for interval data; rows of unequal length are padded."""
    width = max(len(item) for item in items)
    data = np.full((width, len(items)), np.nan)
    for column, item in enumerate(items):
        data[: len(item), column] = item
    return float(krippendorff.alpha(reliability_data=data, level_of_measurement="interval"))


def alphas():
    """Grades in quarters of items in clusters: raters who see the same with more or less noise."""
    random = np.random.default_rng(20260901)
    for clusters, per_cluster, raters, noise in [(15, 6, 2, 0.4), (15, 6, 3, 0.8), (8, 4, 2, 0.2), (30, 2, 5, 1.5)]:
        data = []
        for _ in range(clusters):
            level = random.normal(2, 1)
            items = []
            for _ in range(per_cluster):
                truth = level + random.normal(0, 0.7)
                ratings = np.clip(np.round(truth + random.normal(0, noise, raters)), 0, 4) / 4
                kept = ratings[random.random(raters) > 0.05].tolist()
                items.append(kept)
            data.append(items)
        rated = [[item for item in items if len(item) > 1] for items in data]
        rated = [items for items in rated if items]
        drawn = []
        for _ in range(RESAMPLES // 10):
            chosen = random.integers(0, len(rated), len(rated))
            drawn.append(alpha_of([item for index in chosen for item in rated[index]]))
        low, high = np.quantile(drawn, [0.025, 0.975])
        alpha = alpha_of([item for items in rated for item in items])
        yield {"clusters": data, "alpha": alpha, "low": float(low), "high": float(high)}


def regressions():
    """Differences of scores against differences of log length; the adjusted difference is the intercept."""
    random = np.random.default_rng(20260902)
    for n, slope, shift in [(4, 0.3, 0.1), (8, 0.0, 0.4), (15, 0.5, 0.3), (15, -0.2, 0.0), (60, 0.1, 1.0)]:
        length = np.round(random.normal(shift, 0.3, n), 6)
        difference = np.round(0.05 + slope * length + random.normal(0, 0.1, n), 6)
        fit = sm.OLS(difference, sm.add_constant(length)).fit()
        low, high = fit.conf_int(0.05)[0]
        yield {
            "difference": difference.tolist(),
            "length": length.tolist(),
            "intercept": fit.params[0],
            "slope": fit.params[1],
            "se": fit.bse[0],
            "slope_se": fit.bse[1],
            "df": fit.df_resid,
            "t": fit.tvalues[0],
            "p": fit.pvalues[0],
            "slope_p": fit.pvalues[1],
            "low": low,
            "high": high,
        }


def kappa_of(pairs, labels, weights):
    """Cohen's kappa of pairs of ratings."""
    first, second = zip(*pairs)
    return float(cohen_kappa_score(first, second, labels=labels, weights=weights))


def kappas():
    """A judge and a person who see the same with more or less noise, on two categories and on five."""
    random = np.random.default_rng(20261121)
    for clusters, per_cluster, k, noise in [(15, 2, 2, 0.5), (30, 3, 5, 0.8), (20, 4, 5, 1.6), (12, 5, 2, 0.2)]:
        labels, weights = list(range(k)), ("quadratic" if k > 2 else None)
        data = []
        for _ in range(clusters):
            level = random.normal((k - 1) / 2, k / 4)
            truth = level + random.normal(0, k / 6, per_cluster)
            ratings = [np.clip(np.round(truth + random.normal(0, noise, per_cluster)), 0, k - 1) for _ in range(2)]
            data.append([[int(a), int(b)] for a, b in zip(*ratings)])
        drawn = []
        for _ in range(RESAMPLES // 10):
            chosen = random.integers(0, clusters, clusters)
            drawn.append(kappa_of([pair for index in chosen for pair in data[index]], labels, weights))
        low, high = np.quantile(drawn, [0.025, 0.975])
        pairs = [pair for cluster in data for pair in cluster]
        yield {"clusters": data, "categories": k, "kappa": kappa_of(pairs, labels, weights),
               "low": float(low), "high": float(high)}


write("alpha", ["krippendorff", "numpy"], alphas())
write("length", ["numpy", "statsmodels"], regressions())
write("kappa", ["numpy", "scikit-learn"], kappas())
