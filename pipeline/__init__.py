"""Mendline: a reproducible pipeline that trains a GAN to restore damaged pictures."""

import sys

from pipeline import stop

if sys.argv[0] == "-m":  # `python -m pipeline.<stage>`: it can be stopped from its first moment, imports included
    stop.listen()
