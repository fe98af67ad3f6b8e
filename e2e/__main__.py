"""`python -m e2e`: the command line of the proof on a real account."""

import sys

from e2e.cli import main

if __name__ == "__main__":
    sys.exit(main())
