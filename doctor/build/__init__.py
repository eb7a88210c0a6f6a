"""`build-ext`: bevready's own extension, compiled by g++ and torch's own NVRTC, proven, cached. See `make.py`."""
