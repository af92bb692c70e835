"""Goes through the acceptance list with whichever openai package is on its path, and prints what it saw as JSON.

python -S -m tests.openai.driver URL KEY DIRECTORY [POINT...]. Uses nothing but the standard library and that package.
Each function in POINTS is one point; its answer is compared by test_clients.py, so that a failure names the point.
"""

import json
import sys
import traceback
from pathlib import Path

from tests.openai import batch_points, file_points
from tests.openai.client import Client

POINTS = (batch_points.before, *file_points.POINTS, *batch_points.POINTS)
_KNOWN = {each.__name__: each for each in (*POINTS, file_points.three_hundred_megabytes)}


def main(url: str, key: str, folder: str, *names: str) -> None:
    client = Client(url, key, Path(folder))
    seen = {"version": client.openai.__version__}
    for name in names or [each.__name__ for each in POINTS]:
        try:
            seen[name] = _KNOWN[name](client)
        except Exception:  # noqa: BLE001  whatever it was, the other points are looked at
            seen[name] = {"broken": traceback.format_exc()[-2000:]}
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
