"""`python -m bench`: the command line of the benchmark."""

import sys

from bench.benchmark import main

if __name__ == "__main__":
    sys.exit(main())
