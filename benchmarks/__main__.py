"""python -m benchmarks [plan|stream|agent|embed|dispatch|boinc ...] [--quick]: runs and prints, asserts no speed."""

import argparse
import subprocess
import sys

from benchmarks import agent, boinc, embed, plan, stream
from benchmarks.places import ROOT
from benchmarks.tables import machine

QUICK_DISPATCH = ("--waiting", "1000", "--batches", "10")


def dispatch(quick: bool) -> None:
    subprocess.run(
        [sys.executable, "-m", "benchmarks.dispatch", *(QUICK_DISPATCH if quick else ())], check=True, cwd=ROOT
    )


PARTS = {
    "plan": plan.main,
    "stream": stream.main,
    "agent": agent.main,
    "embed": embed.main,
    "dispatch": dispatch,
    "boinc": boinc.main,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--quick", action="store_true", help="small inputs, few repetitions")
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    print(f"Machine: {machine()}\n", flush=True)
    for name in given.parts or PARTS:
        PARTS[name](given.quick)
        print(flush=True)


if __name__ == "__main__":
    main()
