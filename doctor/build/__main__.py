"""`python3 -m doctor.build`: the same words as `invoke build-ext`."""

import sys

from doctor.build.menu import main

if __name__ == "__main__":
    sys.exit(main())
