"""Seconds and memory of corrections of a large image, without the NGSolve mesh.

    python examples/large_image.py --n 128

Random pixels, four a coarse cell and axis, at scale 16: with ``--n 128`` 512 x 512 pixels on 2048 x 2048 fine
cells. The field of NGSolve (``Correction.u_fine``) is made only when it is asked for, and takes more than that.
As it stands a small one, for some seconds.
"""

# %% Memory in use while something runs.
import argparse
import time
from threading import Event, Thread

import numpy as np

from ngs_nhcsr import Corrector
from ngs_nhcsr.demo import coarse_problem


def resident():
    """Megabytes that this process has in memory (Linux)."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


def measured(run, calls):
    """Median seconds of the calls, and the largest memory during them."""
    ended, largest, seconds = Event(), [resident()], []

    def watch():
        while not ended.wait(0.003):
            largest.append(resident())

    thread = Thread(target=watch)
    thread.start()
    try:
        for _ in range(calls):
            begin = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - begin)
    finally:
        ended.set()
        thread.join()
    return float(np.median(seconds)), max(largest)


# %% Both targets at two contrasts.
def main(n: int = 8, scale: int = 16, calls: int = 3) -> list[tuple[str, float, float, float]]:
    """Print a table for n x n coarse cells; returns target, contrast, seconds and megabytes of each row."""
    corrector, fine, rows = Corrector(device="cpu"), n * scale, []
    print(f"{4 * n}² pixels on {fine}² cells; a float64 array of them is {8 * (fine + 1) ** 2 / 2**20:.1f} MB\n")
    print("| target | contrast | seconds | MB of the process at most | arrays more than at first |")
    print("|---|---:|---:|---:|---:|")
    before = resident()
    for contrast in (10.0, 1000.0):
        rng = np.random.default_rng(1)
        u, a = coarse_problem(np.where(rng.random((4 * n, 4 * n)) < 0.5, 1.0, contrast), n)
        for target in ("fine", "pde"):

            def run(u=u, a=a, target=target):
                return corrector(u, a, scale, f=1, target=target, on_untrusted="return").values.sum()

            run()  # uncounted: kernels are loaded
            seconds, largest = measured(run, calls)
            arrays = (largest - before) * 2**20 / (8 * (fine + 1) ** 2)
            rows.append((target, contrast, seconds, largest))
            print(f"| {target} | {contrast:g} | {seconds:.2f} | {largest:.0f} | {arrays:.0f} |")
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=8, help="coarse cells a side, four pixels each")
    parser.add_argument("--scale", type=int, default=16, help="fine cells per coarse cell")
    parser.add_argument("--calls", type=int, default=3, help="the seconds are the median of")
    main(**vars(parser.parse_args()))
