"""Where the single file starts."""

import sys

from fallow.worker.volunteer.program import main

if __name__ == "__main__":
    sys.exit(main())
