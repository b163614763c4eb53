"""Times the companion tests beside SciPy's on the same 15 differences, in turn, in one run.

Called by scripts/bench with the command that answers for shipworthy. Prints the median of each and their ratio:
the machine may be slow, but it is equally slow for both.
"""

import statistics
import subprocess
import sys
import time

import numpy as np
import scipy
from scipy import stats

ROUNDS = 15
DIFFERENCES = np.array(
    [0.10, 0.20, 0.03, 0.205, 0.11, -0.05, 0.21, 0.12, 0.13, 0.04, 0.22, 0.105, -0.01, 0.19, 0.15]
)


def sign_flip():
    test = stats.permutation_test(
        (DIFFERENCES,), np.sum, permutation_type="samples", vectorized=True, n_resamples=np.inf
    )
    return test.pvalue


def wilcoxon():
    return stats.wilcoxon(DIFFERENCES, method="exact").pvalue


def bootstrap():
    done = stats.bootstrap((DIFFERENCES,), np.mean, n_resamples=10_000, method="BCa", rng=7)
    return done.confidence_interval.low


PEERS = {
    "sign_flip": ("sign flips, all 32,768", sign_flip),
    "wilcoxon": ("signed ranks, exact", wilcoxon),
    "bootstrap": ("BCa bootstrap, 10,000", bootstrap),
}


def main():
    ours = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    print(f"SciPy {scipy.__version__}, NumPy {np.__version__}; median of {ROUNDS} calls in turn\n")
    print(f"{'on 15 differences':<26}{'shipworthy':>12}{'SciPy':>12}{'ratio':>10}   results")
    for name, (title, peer) in PEERS.items():
        times, peer_times = [], []
        for _ in range(ROUNDS):
            ours.stdin.write(name + "\n")
            ours.stdin.flush()
            seconds, result = map(float, ours.stdout.readline().split())
            start = time.perf_counter()
            peer_result = peer()
            peer_times.append(time.perf_counter() - start)
            times.append(seconds)
        mine, other = statistics.median(times), statistics.median(peer_times)
        print(
            f"{title:<26}{mine * 1e3:>9.3f} ms{other * 1e3:>9.2f} ms{other / mine:>9.0f}x"
            f"   {result:.6g} and {peer_result:.6g}"
        )
    ours.stdin.close()
    ours.wait()


main()
