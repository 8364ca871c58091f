"""The numerical tests on the BLAS kernels of other processors: ``python -m tests.blas_kernels``.

A kernel decides in which order sums are taken, and so their last digit.  OpenBLAS, which the wheels
of NumPy and SciPy contain, takes the name of one from ``OPENBLAS_CORETYPE``; two threads add up in
yet another order.  Options are passed on to pytest.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

# From SSE3 to AVX2, in the order of their age; the last only runs where there is AVX-512.
KERNELS = ["Prescott", "Nehalem", "Sandybridge", "Haswell", "Zen", "SkylakeX"]

# The modules that compute, and the documented examples: what is tested.
MODULES = [
    "core/column_generation/proximal_newton",
    "core/column_generation/refit",
    "core/column_generation/slide",
    "core/deep/circular",
    "core/deep/concave_power",
    "core/deep/linear_convolution",
    "core/deep/nuclear_norm",
    "core/deep/nuclear_norm_any_loss",
    "core/deep/schatten_norm",
    "core/deep/singular_values",
    "core/deep/spectral_rows",
    "core/fit/given_patterns",
    "core/fit/held_out",
    "core/fit/temperature",
    "core/geometry/planar_cells",
    "core/patterns/enumeration",
    "core/pricing/patches",
    "core/pricing/search",
    "core/pricing/upper_bounds",
    "core/pricing/wall_crossing",
    "core/problem/certificates",
    "core/problem/circular_neurons",
    "core/problem/coded",
    "core/problem/losses/every_loss",
    "core/problem/patches",
    "core/problem/rows",
    "core/problem/sub_networks",
    "core/problem/units",
    "core/programs/gated_network",
    "core/programs/minimal",
    "core/programs/neuron_program",
    "core/programs/nuclear_newton",
    "core/programs/solve",
    "core/spline/solver",
    "core/threshold/pieces",
    "core/threshold/references",
    "core/threshold/step_rows",
    "deep_linear",
    "inspection/encodings",
    "inspection/l0_l1",
    "inspection/public_names",
    "regressor",
]
# Those of them that multiply or factor matrices large enough for two threads.
THREADED = [
    "core/column_generation/proximal_newton",
    "core/column_generation/refit",
    "core/column_generation/slide",
    "core/deep/nuclear_norm",
    "core/deep/schatten_norm",
    "core/deep/spectral_rows",
    "core/pricing/upper_bounds",
    "core/problem/certificates",
    "core/problem/rows",
    "core/programs/gated_network",
    "core/programs/minimal",
    "core/programs/neuron_program",
    "core/programs/nuclear_newton",
    "core/programs/solve",
    "deep_linear",
    "regressor",
]
# Left out: the longest ones, where shorter tests of the same function remain.
LONG = [
    "core/pricing/patches::test_climbs_end_above_dense_sampling",
    "core/pricing/upper_bounds::test_upper_bounds_are_never_below_the_largest_price",
    "core/problem/coded::test_a_fit_to_the_last_digits_gives_the_same",
    "core/problem/coded::test_estimators_of_both_kinds_of_rows",
    "core/programs/neuron_program::test_gap_of_small_fits_is_true_to_the_last_digits",
    "core/programs/nuclear_newton::test_conic_twin",
    "inspection/encodings::test_neurons_of_optimal_networks_are_their_dual_mixtures",
    "inspection/l0_l1::test_classifiers",
    "core/programs/neuron_program::test_the_optimum_of_breast_cancer",
    "core/programs/neuron_program::test_few_columns_give_a_proven_gap",
    "core/programs/neuron_program::test_fits_agree_whatever_the_seed",
    "core/programs/neuron_program::test_neurons_are_needed",
    "core/programs/nuclear_newton::test_small_alpha",
    "core/pricing/upper_bounds::test_branch_and_bound_closes_the_gap",
    "core/pricing/wall_crossing::test_pricing_finds_the_largest_price",
    "core/pricing/wall_crossing::test_proof_bounds_the_price_from_above",
    "deep_linear::test_alpha_max",
    "deep_linear::test_the_path_is_the_fits_one_by_one",
    "deep_linear::test_scoring_selection_and_workers",
    "core/problem/losses/every_loss::test_dual_is_the_infimum_of_fenchel_young",
    "core/programs/neuron_program::test_turns_lower_the_objective",
    "core/fit/given_patterns::test_all_patterns_give_the_global_optimum",
    "core/deep/schatten_norm::test_no_search_over_the_layers_finds_better",
    "core/deep/singular_values::test_shrink_is_the_minimum",
]
# Number of threads: modules.
THREADS = {1: MODULES, 2: THREADED}


def location(test):
    """Where ``tests`` has the file of a module, or a function of it."""
    module, *function = test.split("::")
    path = Path("tests", module)
    return "::".join([f"{path.parent.as_posix()}/test_{path.name}.py", *function])


def kernels_of_this_processor():
    """Those of ``KERNELS`` that it can run, or a reason why there are none."""
    if platform.machine().lower() not in {"x86_64", "amd64"}:
        return [], f"OPENBLAS_CORETYPE names no other kernels on {platform.machine()}"
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return [], "what this processor can run is not known without /proc/cpuinfo"
    needs = {"Sandybridge": "avx", "Haswell": "avx2", "Zen": "avx2", "SkylakeX": "avx512dq"}
    words = set(flags.split())
    return [kernel for kernel in KERNELS if needs.get(kernel, "sse3") in words | {"sse3"}], ""


def run(threads, kernel, options):
    """The exit status of the tests on one kernel, and what they printed."""
    selection = [location(module) for module in THREADS[threads]]
    selection += [f"--deselect={location(test)}" for test in LONG]
    environment = {
        **os.environ,
        "OPENBLAS_CORETYPE": kernel,
        "OPENBLAS_NUM_THREADS": str(threads),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, *selection, *options], env=environment, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def main(options):
    """Run every combination; the number of those that failed."""
    kernels, reason = kernels_of_this_processor()
    if reason:
        print(f"Skipped: {reason}.")
    failed = []
    combinations = [(threads, kernel) for threads in THREADS for kernel in kernels]
    # Side by side, each in one process: the tests are then collected once for each kernel.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        results = pool.map(lambda one: run(*one, options), combinations)
        for (threads, kernel), (status, printed) in zip(combinations, results, strict=True):
            title = f"{kernel}, {threads} BLAS thread(s)"
            print(f"== {title}\n{printed}", flush=True)
            if status:
                failed.append(title)
    if failed:
        print("Failed: " + "; ".join(failed))
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
