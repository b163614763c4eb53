"""Writes the golden data of stats/tests/golden.rs beside this file.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python generate.py

Every number comes from SciPy, statsmodels, scikit-learn or krippendorff, except where none of them has
the method: exact tests on ties and CR2 are computed here by brute force from their definitions.
"""

import json
from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import krippendorff
import numpy as np
import pandas as pd
import statsmodels.api as sm
from scipy import optimize, special, stats
from sklearn.metrics import cohen_kappa_score
from statsmodels.formula.api import ols
from statsmodels.stats.anova import anova_lm
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

HERE = Path(__file__).parent
LEVELS = [0.8, 0.9, 0.95, 0.99]


def write(name, cases):
    """Writes one file, its versions first, one case a line."""
    packages = ["krippendorff", "numpy", "scikit-learn", "scipy", "statsmodels"]
    versions = {package: version(package) for package in packages}
    lines = ",\n".join(json.dumps(case, allow_nan=False) for case in cases)
    text = f'{{"versions": {json.dumps(versions)},\n"cases": [\n{lines}\n]}}\n'
    (HERE / f"{name}.json").write_text(text)


# Paired samples: scores of two arms in thousandths, so that exact tests can be counted in whole numbers.


def paired_samples():
    random = np.random.default_rng(20260801)
    sizes = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 15, 16, 17, 18, 19, 20, 21, 24, 30, 40, 50, 60]
    for size in sizes:  # Continuous scores, effects from none to large.
        effect = random.choice([0, 30, 80, 150, 300])
        baseline = random.integers(200, 700, size)
        yield "plain", baseline, baseline + np.round(random.normal(effect, 120, size)).astype(int)
    for size in [3, 5, 8, 10, 12, 15, 18, 20, 30, 60]:  # Scores of few levels: ties and zeros.
        baseline = random.integers(0, 6, size) * 100
        yield "ties and zeros", baseline, baseline + random.integers(-2, 5, size) * 100
    for size in [6, 10, 15, 20, 45]:  # Mostly zeros.
        step = random.choice([0, 0, 0, 100, 250, -50], size)
        step[:2] = 100, 250
        yield "mostly zero", np.full(size, 500), 500 + step
    for size in [3, 10, 15, 20, 60]:  # Near-constant: one pair differs by a thousandth.
        step = np.full(size, 100)
        step[-1] += 1
        yield "near-constant", np.full(size, 400), 400 + step
    worked = [
        [10, 20, 0], [30, 10, 20], [0, -10, 10], [20, 20, 20], [5, 15, 10], [-10, 0, -5], [25, 15, 20], [10, 0, 20],
        [15, 5, 10], [0, 10, 5], [20, 30, 10], [10, 10, 10], [-5, 5, 0], [15, 25, 20], [10, 20, 15],
    ]
    means = np.array([round(sum(row) * 10 / 3 * 3) for row in worked])  # Three times the mean, in thousandths.
    yield "worked example, times three", np.zeros(15, int), means


def constant_samples():
    """Samples whose differences are all equal, if not in floating point: no test has an answer."""
    for size, step in [(3, 0), (3, 100), (10, -250), (15, 0), (15, 100), (60, 1)]:
        baseline = np.arange(size) * 7 + 100
        yield "constant", baseline, baseline + step


def sign_flip_counts(whole):
    """How many of all sign vectors reach the observed sum: two-sided, upwards, downwards."""
    sums = np.zeros(1, dtype=np.int64)
    for value in whole:
        sums = np.concatenate([sums - value, sums + value])
    observed = whole.sum()
    return [int((abs(sums) >= abs(observed)).sum()), int((sums >= observed).sum()), int((sums <= observed).sum())]


def signed_rank_exact(whole, zeros):
    """Exact signed-rank tails over all signs of the mid-ranks, in fractions."""
    kept = whole if zeros == "pratt" else whole[whole != 0]
    ranks = np.round(2 * stats.rankdata(abs(kept))).astype(int)
    used = ranks[kept != 0]
    if len(used) == 0:
        return None
    ways = {0: 1}
    for rank in used:
        following = dict(ways)
        for total, count in ways.items():
            following[total + rank] = following.get(total + rank, 0) + count
        ways = following
    w_plus = int(ranks[kept > 0].sum())
    total = 2 ** len(used)
    greater = Fraction(sum(count for value, count in ways.items() if value >= w_plus), total)
    less = Fraction(sum(count for value, count in ways.items() if value <= w_plus), total)
    return {
        "w_plus": w_plus / 2,
        "p_two_sided": float(min(Fraction(1), 2 * min(greater, less))),
        "p_greater": float(greater),
        "p_less": float(less),
    }


def signed_rank(whole, zeros):
    exact = signed_rank_exact(whole, zeros)
    if exact is None:
        return None
    magnitudes = abs(whole[whole != 0])
    if zeros == "wilcox" and len(set(magnitudes)) == len(magnitudes):
        # Without ties SciPy has the exact distribution too.
        for side, key in [("two-sided", "p_two_sided"), ("greater", "p_greater"), ("less", "p_less")]:
            scipy_p = stats.wilcoxon(whole, zero_method="wilcox", method="exact", alternative=side).pvalue
            assert abs(scipy_p - exact[key]) <= 1e-12 * exact[key], (whole, side, scipy_p, exact)
    normal = {}
    for name, correction in [("normal", False), ("normal_continuity", True)]:
        p = {}
        for side, key in [("two-sided", "p_two_sided"), ("greater", "p_greater"), ("less", "p_less")]:
            result = stats.wilcoxon(
                whole.astype(float), zero_method=zeros, method="asymptotic", correction=correction, alternative=side
            )
            p[key] = float(result.pvalue)
        normal[name] = p
    return {"exact": exact, **normal}


def paired_case(kind, baseline, candidate):
    a, b = baseline / 1000, candidate / 1000
    whole = (candidate - baseline).astype(np.int64)
    difference = whole / 1000
    n = len(whole)
    result = {side: stats.ttest_1samp(difference, 0, alternative=side) for side in ["two-sided", "greater", "less"]}
    intervals = [list(map(float, result["two-sided"].confidence_interval(level))) for level in LEVELS]
    if n <= 12:  # SciPy's own exact permutation test agrees with the count below.
        p = stats.permutation_test(
            (difference,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
        ).pvalue
        assert abs(p - min(1, sign_flip_counts(whole)[0] / 2**n)) < 1e-12, (kind, n, p)
    margin = 0.05
    shifted = stats.ttest_1samp(difference, -margin, alternative="greater")
    df = n - 1
    return {
        "kind": kind, "baseline": a.tolist(), "candidate": b.tolist(), "n": n,
        "mean": float(difference.mean()), "sd": float(difference.std(ddof=1)),
        "se": float(stats.sem(difference)), "t": float(result["two-sided"].statistic), "df": float(df),
        "p_two_sided": float(result["two-sided"].pvalue), "p_greater": float(result["greater"].pvalue),
        "p_less": float(result["less"].pvalue), "intervals": intervals,
        "hedges_exact": float(np.exp(special.gammaln(df / 2) - special.gammaln((df - 1) / 2)) / np.sqrt(df / 2)),
        "non_inferiority": {"margin": margin, "t": float(shifted.statistic), "p": float(shifted.pvalue),
                            "lower": float(shifted.confidence_interval(0.95)[0])},
        "sign_flip_counts": sign_flip_counts(whole) if n <= 20 else None,
        "wilcox": signed_rank(whole, "wilcox"), "pratt": signed_rank(whole, "pratt"),
    }


def nct_cdf(t, df, noncentrality):
    """SciPy's non-central t; where it gives NaN the value is below Φ(−δ) and 0 to all digits compared."""
    value = stats.nct.cdf(t, df, noncentrality)
    if np.isnan(value):
        assert t < 0 and stats.norm.cdf(-noncentrality) < 1e-13, (t, df, noncentrality)
        return 0.0
    return float(value)


def distributions():
    for df in [1, 2, 2.7, 4, 9, 14, 29, 59, 200, 5000]:
        for t in [1e-9, 1e-6, 1e-3, 0.1, 0.7, 0.999, 1.001, 2, 3.5, 7, 12, 30, 200]:
            yield {"function": "student_t_two_sided", "df": df, "x": t, "value": float(2 * stats.t.sf(t, df))}
        for tail in [0.499, 0.49, 0.3, 0.1, 0.05, 0.025, 0.005, 1e-4, 1e-6, 1e-9, 1e-12]:
            yield {"function": "student_t_upper_quantile", "df": df, "x": tail, "value": float(stats.t.isf(tail, df))}
    for df in [2, 3.5, 9, 14, 29, 59, 500]:
        for noncentrality in [-3, 0, 0.5, 1.7, 3.01, 6, 15]:
            for t in [-2.5, 0, 1, 2.1448, 3, 8, 20]:
                value = nct_cdf(t, df, noncentrality)
                yield {"function": "noncentral_t_cdf", "df": df, "noncentrality": noncentrality, "x": t, "value": value}


def power_cases():
    solver = TTestPower()
    for n in [2, 3, 5, 10, 15, 20, 30, 60, 200]:
        for dz in [0, 0.1, 0.3, 0.778, 1, 1.5, 3]:
            for alpha in [0.05, 0.01]:
                df, delta = n - 1, dz * np.sqrt(n)
                critical = stats.t.isf(alpha / 2, df)
                two = stats.nct.sf(critical, df, delta) + nct_cdf(-critical, df, delta)
                one = stats.nct.sf(stats.t.isf(alpha, df), df, delta)
                yield {"n": n, "dz": dz, "alpha": alpha, "two_sided": float(two), "one_sided": float(one)}
    for n in [5, 10, 15, 20, 30, 60]:
        for alternative in ["two-sided", "larger"]:
            # statsmodels stops at a few 1e-6, so that the root is polished here.
            rough = solver.solve_power(nobs=n, alpha=0.05, power=0.8, alternative=alternative)
            missing = lambda dz: solver.power(dz, n, 0.05, alternative=alternative) - 0.8
            dz = optimize.brentq(missing, 0.99 * rough, 1.01 * rough, xtol=1e-13)
            yield {"detectable": float(dz), "n": n, "alternative": alternative}
    for dz in [0.2, 0.35, 0.5, 0.8, 1.2]:
        for power in [0.8, 0.9]:
            n = solver.solve_power(effect_size=dz, alpha=0.05, power=power, alternative="two-sided")
            yield {"required": int(np.ceil(n)), "dz": dz, "power": power}


# Clusters.


def clustered_cases():
    random = np.random.default_rng(7)
    designs = [[3] * 15, [2, 2], [1, 2, 3, 4, 5], [3] * 14 + [1], [6, 1, 1, 1, 2], random.integers(1, 9, 30).tolist()]
    for sizes in designs:
        for between in [0.0, 0.1]:
            clusters = [
                np.round(0.1 + random.normal(0, between) + random.normal(0, 0.15, size), 3).tolist() for size in sizes
            ]
            yield clustered_case(clusters)


def clustered_case(clusters):
    values = np.concatenate(clusters)
    groups = np.repeat(np.arange(len(clusters)), [len(cluster) for cluster in clusters])
    n = len(values)
    ones = np.ones((n, 1))
    cr1 = sm.OLS(values, ones).fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": True})
    # CR2 from its definition: residuals times (I − H)^(−1/2) per cluster, and the Satterthwaite
    # degrees of freedom (ΣEigenvalues)²/ΣEigenvalues² of its quadratic form.
    hat = ones @ ones.T / n
    residuals = values - values.mean()
    annihilator = np.eye(n) - hat
    variance, columns = 0.0, []
    for group in range(len(clusters)):
        rows = groups == group
        block = annihilator[np.ix_(rows, rows)]
        eigenvalues, vectors = np.linalg.eigh(block)
        adjustment = vectors @ np.diag(eigenvalues**-0.5) @ vectors.T
        weight = adjustment @ ones[rows, 0] / n
        variance += float(weight @ residuals[rows]) ** 2
        columns.append(annihilator[:, rows] @ weight)
    gram = np.array(columns) @ np.array(columns).T
    df = np.trace(gram) ** 2 / np.sum(gram**2)
    case = {"clusters": clusters, "mean": float(values.mean()), "cr1_se": float(cr1.bse[0]),
            "cr2_se": float(np.sqrt(variance)), "cr2_df": float(df),
            "cr2_interval": [float(end) for end in stats.t.interval(0.95, df, values.mean(), np.sqrt(variance))]}
    if n > len(clusters):
        table = anova_lm(ols("x ~ C(g)", pd.DataFrame({"x": values, "g": groups})).fit())
        between, within = map(float, table["mean_sq"])
        sizes = np.bincount(groups)
        n0 = (n - (sizes**2).sum() / n) / (len(sizes) - 1)
        case |= {"ms_between": between, "ms_within": within, "n0": float(n0),
                 "icc": (between - within) / (between + (n0 - 1) * within)}
    return case


# Bootstrap: the resamples of stats/src/random.rs drawn again here, the intervals by SciPy.

MASK = 2**64 - 1


class Random:
    """xoshiro256++ seeded by SplitMix64."""

    def __init__(self, seed):
        self.state = []
        for _ in range(4):
            seed = (seed + 0x9E3779B97F4A7C15) & MASK
            mixed = ((seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9) & MASK
            mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & MASK
            self.state.append(mixed ^ (mixed >> 31))

    def bits(self):
        def rotate(x, k):
            return ((x << k) | (x >> (64 - k))) & MASK

        s = self.state
        result = (rotate((s[0] + s[3]) & MASK, 23) + s[0]) & MASK
        shifted = (s[1] << 17) & MASK
        s[2] ^= s[0]
        s[3] ^= s[1]
        s[1] ^= s[2]
        s[0] ^= s[3]
        s[2] ^= shifted
        s[3] = rotate(s[3], 45)
        return result

    def below(self, bound):
        while True:
            product = self.bits() * bound
            if product & MASK >= (-bound % 2**64) % bound:
                return product >> 64


def bootstrap_cases():
    random = np.random.default_rng(11)
    for n, seed in [(5, 1), (15, 2), (15, 3), (30, 4)]:
        values = np.sort(np.round(random.gamma(2, 0.1, n) - 0.1, 3))
        stream = Random(seed)
        means = np.array([values[[stream.below(n) for _ in range(n)]].mean() for _ in range(2000)])
        case = {"values": values.tolist(), "seed": seed, "resamples": 2000, "se": float(means.std(ddof=1))}
        for method in ["percentile", "BCa"]:
            # SciPy takes a distribution drawn before and draws none of its own.
            drawn = SimpleNamespace(bootstrap_distribution=means)
            interval = stats.bootstrap(
                (values,), np.mean, n_resamples=0, bootstrap_result=drawn, confidence_level=0.9, method=method
            ).confidence_interval
            case[method] = [float(interval.low), float(interval.high)]
        yield case


def count_cases():
    for b, c in [(0, 1), (1, 0), (5, 0), (3, 3), (7, 2), (2, 9), (15, 4), (30, 11), (60, 40), (700, 620)]:
        two = mcnemar([[0, b], [c, 0]], exact=True).pvalue
        yield {"only_candidate": b, "only_baseline": c, "two_sided": float(two),
               "candidate_more": float(stats.binom.sf(b - 1, b + c, 0.5))}
    for events, trials in [(0, 1), (0, 15), (0, 45), (1, 15), (3, 45), (20, 45), (45, 45), (7, 300), (999, 1000)]:
        for level in [0.9, 0.95, 0.99]:
            interval = stats.binomtest(events, trials).proportion_ci(level, method="exact")
            ends = [float(interval.low), float(interval.high)]
            yield {"events": events, "trials": trials, "level": level, "interval": ends}
    random = np.random.default_rng(3)
    for k in [1, 2, 5, 12]:
        p = np.round(random.beta(0.5, 2, k), 4)
        if k > 2:
            p[1] = p[2]
        holm, bh = (multipletests(p, method=method)[1].tolist() for method in ["holm", "fdr_bh"])
        yield {"p_values": p.tolist(), "holm": holm, "benjamini_hochberg": bh}


# Agreement.


def agreement_cases():
    random = np.random.default_rng(5)
    for n, k, skew in [(10, 2, 1), (60, 2, 8), (40, 3, 1), (100, 5, 1), (100, 5, 4), (25, 7, 1)]:
        shares = np.array([skew] + [1] * (k - 1)) / (skew + k - 1)
        first = random.choice(k, n, p=shares)
        second = np.where(random.random(n) < 0.7, first, random.choice(k, n, p=shares))
        labels = list(range(k))
        counts = np.array([(first == c).mean() + (second == c).mean() for c in labels]) / 2
        chance = (counts * (1 - counts)).sum() / (k - 1)
        yield {"first": first.tolist(), "second": second.tolist(), "categories": k,
               "kappa": float(cohen_kappa_score(first, second, labels=labels)),
               "quadratic": float(cohen_kappa_score(first, second, labels=labels, weights="quadratic")),
               "ac1": float(((first == second).mean() - chance) / (1 - chance))}
    reference = [[1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None], [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
                 [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None], [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None]]
    yield alpha_case(reference)
    for raters, items, missing in [(2, 10, 0), (3, 30, 0.2), (5, 50, 0.5), (2, 80, 0.1), (4, 20, 0.3)]:
        truth = random.integers(1, 6, items)
        noise = random.choice([-1, 0, 0, 0, 1], (raters, items))
        ratings = np.clip(truth + noise, 1, 5)
        gone = random.random((raters, items)) < missing
        yield alpha_case([[None if g else int(x) for x, g in zip(row, hide)] for row, hide in zip(ratings, gone)])


def alpha_case(ratings):
    data = [[np.nan if x is None else x for x in row] for row in ratings]
    levels = ["nominal", "ordinal", "interval"]
    return {"ratings": ratings,
            **{level: float(krippendorff.alpha(data, level_of_measurement=level)) for level in levels}}


# Group-sequential boundaries: crossing probabilities by SciPy's multivariate normal, an independent route.


def sequential_cases():
    for shares in [[1 / 3, 2 / 3, 1], [0.5, 1], [0.4, 0.8, 1], [0.5, 0.97, 1]]:
        looks, spent = [], 0.0
        for k, share in enumerate(shares):
            total = 2 * stats.norm.sf(stats.norm.isf(0.0125) / np.sqrt(share))
            scale = np.sqrt(shares[: k + 1])
            correlation = np.minimum.outer(scale, scale) / np.maximum.outer(scale, scale)

            def excess(z, looks=looks, correlation=correlation, need=total - spent):
                if not looks:
                    return stats.norm.sf(z) - need
                inner, bounds = correlation[:-1, :-1], np.array(looks)

                def inside(upper, lower, cov):
                    # Seeded anew each time, so that the integral is a function of z and the file always the same.
                    return stats.multivariate_normal.cdf(
                        upper, cov=cov, lower_limit=lower, allow_singular=True, abseps=1e-10, releps=1e-10,
                        maxpts=4_000_000, rng=np.random.default_rng(1),
                    )

                stay = inside(bounds, -bounds, inner)
                full = inside(np.append(bounds, z), np.append(-bounds, -40), correlation)
                return stay - full - need

            looks.append(float(optimize.brentq(excess, 0.5, 8, xtol=1e-9)))
            spent = total
        yield {"information": shares, "z": looks}


write("constant", [
    {"baseline": (a / 1000).tolist(), "candidate": (b / 1000).tolist()} for _, a, b in constant_samples()
])
write("paired", [paired_case(*sample) for sample in paired_samples()])
write("distributions", list(distributions()))
write("power", list(power_cases()))
write("clusters", list(clustered_cases()))
write("bootstrap", list(bootstrap_cases()))
write("counts", list(count_cases()))
write("agreement", list(agreement_cases()))
write("sequential", list(sequential_cases()))
