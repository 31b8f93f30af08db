"""Kill `create` with signal 9 at random moments, 220 times: python benchmarks/kill.py [TIMES].

After each kill: every bundle that is listed must verify, and the next `create` of the same must work. The moments are drawn
over the whole time of the writing, as measured by runs that are left alone.
"""

import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from conv2d.packaging import create_bundle, list_bundles, verify_bundle
from conv2d.packaging.testing import small_arguments


def child(work: Callable[[], object]) -> int:
    """Fork; a fork has the libraries loaded, so the kill falls into the work and not into imports."""
    process = os.fork()
    if process == 0:
        work()
        os._exit(0)
    return process


def main() -> None:
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 220
    rng = random.Random(9)
    arguments = small_arguments()
    killed = whole = leftovers = wrong = 0
    with tempfile.TemporaryDirectory() as place:
        root = Path(place) / "root"

        def create() -> None:
            create_bundle(root, **arguments)

        spans: list[float] = []
        for _ in range(5):
            start = time.monotonic()
            os.waitpid(child(create), 0)
            spans.append(time.monotonic() - start)
            shutil.rmtree(root)
        longest = 1.2 * max(spans)
        while killed < times:
            process = child(create)
            time.sleep(rng.random() * longest)
            os.kill(process, signal.SIGKILL)
            if os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) != -signal.SIGKILL:
                shutil.rmtree(root)  # it was done before the kill
                continue
            killed += 1
            listed = list_bundles(root)
            whole += len(listed)
            leftovers += len(list(root.glob(".conv2d-pack-*"))) if root.exists() else 0
            wrong += sum(not verify_bundle(path).ok for path in listed)
            made = create_bundle(root, **arguments)
            wrong += not verify_bundle(made.path).ok or list_bundles(root) != (made.path,)
            shutil.rmtree(root)
    print(f"{'killed':>8}{'whole already':>15}{'left aside':>12}{'half accepted or next failed':>30}")
    print(f"{killed:>8}{whole:>15}{leftovers:>12}{wrong:>30}")
    sys.exit(int(wrong > 0))


if __name__ == "__main__":
    main()
