"""`python -m lls`: the command line of the operations."""

import sys

from lls.operations.cli import main

if __name__ == "__main__":
    sys.exit(main())
