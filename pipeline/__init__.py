"""Mendline: a reproducible pipeline that trains a GAN to restore damaged pictures."""

import sys
from pathlib import Path

from pipeline.runtime import environment, stop
from pipeline.runtime.errors import one_line_errors

# A command can be stopped from its first moment, imports included.
if Path(sys.argv[0]).stem == "mend" or "pipeline.commands.mend" in sys.orig_argv:
    stop.leave_on_ctrl_c()
    with one_line_errors():
        environment.read_env_file()
elif sys.argv[0] == "-m" or Path(sys.argv[0]).stem == "mendline":  # `python -m pipeline.<stage>`
    stop.listen()
    with one_line_errors():
        environment.read_env_file()
