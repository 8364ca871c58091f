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
from pathlib import Path

# From SSE3 to AVX2, in the order of their age; the last only runs where there is AVX-512.
KERNELS = ["Prescott", "Nehalem", "Sandybridge", "Haswell", "Zen", "SkylakeX"]

# The tests of what is computed in `core`, and of the documented examples.
MODULES = [
    "arrangement",
    "certificates",
    "coded_rows",
    "deep_linear",
    "descent",
    "encodings",
    "envelope",
    "gated_network",
    "inspection",
    "l0_l1",
    "losses",
    "low_rank",
    "minimal",
    "neuron_program",
    "nuclear",
    "nuclear_groups",
    "pattern_program",
    "pattern_training",
    "patterns",
    "price_bounds",
    "pricing",
    "problem",
    "quadratic",
    "regressor",
    "rows",
    "schatten",
    "spectral",
    "spline",
    "wall_crossing",
]
# Those of them that multiply or factor matrices large enough for two threads.
THREADED = [
    "certificates",
    "deep_linear",
    "descent",
    "gated_network",
    "minimal",
    "neuron_program",
    "nuclear",
    "nuclear_groups",
    "pattern_program",
    "price_bounds",
    "quadratic",
    "regressor",
    "rows",
    "schatten",
]
# Left out: the longest ones, where shorter tests of the same function remain.
LONG = [
    "tests/test_neuron_program.py::test_the_optimum_of_breast_cancer",
    "tests/test_neuron_program.py::test_few_columns_give_a_proven_gap",
    "tests/test_neuron_program.py::test_fits_agree_whatever_the_seed",
    "tests/test_neuron_program.py::test_neurons_are_needed",
    "tests/test_nuclear_groups.py::test_small_alpha",
    "tests/test_price_bounds.py::test_branch_and_bound_closes_the_gap",
    "tests/test_wall_crossing.py::test_pricing_finds_the_largest_price",
    "tests/test_wall_crossing.py::test_proof_bounds_the_price_from_above",
    "tests/test_deep_linear.py::test_the_path_is_the_fits_one_by_one",
    "tests/test_deep_linear.py::test_scoring_selection_and_workers",
    "tests/test_losses.py::test_dual_is_the_infimum_of_fenchel_young",
    "tests/test_neuron_program.py::test_turns_lower_the_objective",
    "tests/test_pattern_training.py::test_all_patterns_give_the_global_optimum",
    "tests/test_schatten.py::test_no_search_over_the_layers_finds_better",
    "tests/test_spectral.py::test_shrink_is_the_minimum",
]
# Number of threads: modules.
THREADS = {1: MODULES, 2: THREADED}


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


def main(options):
    """Run every combination; the number of those that failed."""
    kernels, reason = kernels_of_this_processor()
    if reason:
        print(f"Skipped: {reason}.")
    failed = []
    for threads, modules in THREADS.items():
        selection = [f"tests/test_{module}.py" for module in modules]
        selection += [f"--deselect={test}" for test in LONG]
        for kernel in kernels:
            print(f"== {kernel}, {threads} BLAS thread(s)", flush=True)
            environment = {
                **os.environ,
                "OPENBLAS_CORETYPE": kernel,
                "OPENBLAS_NUM_THREADS": str(threads),
            }
            command = [sys.executable, "-m", "pytest", "-q", "-n", "2", *selection, *options]
            if subprocess.run(command, env=environment).returncode:
                failed.append(f"{kernel}, {threads} BLAS thread(s)")
    if failed:
        print("Failed: " + "; ".join(failed))
    return len(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
