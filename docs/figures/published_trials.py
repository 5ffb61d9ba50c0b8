"""What the published accuracies of figure 2 tell of its trials.

    python docs/figures/published_trials.py

Accuracies of B trials with S scored steps are multiples of 1/(B S), and means over nine runs of 1/(9 B S). Panel A's,
all at d = 18, are multiples of 1/4992. If trials of all delays are equally long and scored from step d on, panel B's
must then be multiples of 1/(9 B (4992/B + 18 - d)): for each batch size B that divides 4992, the script says how far
they are from them, in units of what rounding to six digits leaves open: about 1 at most where they fit.
"""

from __future__ import annotations

from pyflossing.figures import published

OUTPUTS, SHOWN, SEEDS = 4992, 18, 9
HALF_DIGIT = 5e-5  # %, of values like 52.7872


def farthest(batch_size: int, n_averaged: int) -> float:
    """The largest distance of panel B's accuracies from their multiples, in half digits."""
    found = []
    for curve in published("binary_final_accuracy_vs_delay").values():
        for d, percent in zip(curve["x"], curve["y"], strict=True) if isinstance(curve, dict) else ():
            unit = 100 / (n_averaged * batch_size * (OUTPUTS // batch_size + SHOWN - d))
            found.append(abs(percent - round(percent / unit) * unit) / HALF_DIGIT)
    return max(found)


def main() -> None:
    """One line for each batch size."""
    off = max(
        abs(percent - round(percent * OUTPUTS / 100) * 100 / OUTPUTS) / HALF_DIGIT
        for curves in published("binary_training_accuracy").values()
        if isinstance(curves, dict)
        for curve in curves["realizations"]
        for percent in curve["y"]
    )
    print(f"panel A: within {off:.1f} half digits of multiples of 1/{OUTPUTS}")  # noqa: T201
    for batch_size in (b for b in range(1, OUTPUTS) if OUTPUTS % b == 0 and OUTPUTS // b > 8):
        one, mean = (farthest(batch_size, n) for n in (1, SEEDS))
        trials = f"B = {batch_size:3}, S = {OUTPUTS // batch_size:4}"
        print(f"{trials}: single values {one:4.1f}, means of nine {mean:4.1f}")  # noqa: T201


if __name__ == "__main__":
    main()
