"""A scratch clone of this work tree, in which DVC runs the pipeline on small parameters."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parent.parent
PATIENCE = 300.0  # seconds in which any command has ended; on a busy machine few take ten
SMALL = {
    "download.sample.leaves": 24,
    "download.sample.crops": 4,
    "download.sample.size": 48,
    "corrupt.image_size": 32,
    "corrupt.variants": 1,
    "train.init": "models/untrained",
    "train.steps": 40,
    "train.warmup": 10,
    "train.batch": 2,
    "train.crop": 16,
    "train.generator.channels": 4,
    "train.generator.scales": 2,
    "train.discriminator.channels": 4,
    "train.log_every": 3,
    "train.validate_every": 10,
    "train.checkpoint_every": 4,
    "train.samples": 2,
    "evaluate.rows": 2,
}


def finish(process: subprocess.Popen, seconds: float = PATIENCE) -> tuple[str, str]:
    """What a process has printed at its end; one without an end is killed, with its group."""
    try:
        return process.communicate(timeout=seconds)
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        raise


def wait_until(condition: Callable[[], Any], pause: float = 0.02) -> Any:
    """Look again and again until there is something; in the seconds between, the core is for what is waited for."""
    deadline = time.monotonic() + PATIENCE
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(pause)
    return found


def _heed_ctrl_c() -> None:
    """Shells let what runs in the background ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Clone:
    """A scratch clone of this work tree, with small parameters."""

    def __init__(self, folder: Path) -> None:
        """Of this work tree, unless there is one in the folder already."""
        self.folder = folder
        self.environment = {"OMP_NUM_THREADS": "1", "DVC_NO_ANALYTICS": "1"}
        if folder.exists():
            return
        listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--deduplicate"]
        for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines():
            if (ROOT / name).exists() and name != "dvc.lock":
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        for key, value in SMALL.items():
            self.set(key, value)
        self.run("git", "init", "-q")
        self.commit()

    def start(self, *command: str) -> subprocess.Popen:
        """A process group of its own, as a shell makes it for a command."""
        search = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DVC_", "MLFLOW_"))}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=inherited | {"PATH": search} | self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # unsafe only beside threads that hold locks the child needs: it makes one system call, which needs none
            preexec_fn=_heed_ctrl_c,  # noqa: PLW1509
        )

    def run(self, *command: str) -> str:
        with self.start(*command) as process:
            output, errors = finish(process)
        assert process.returncode == 0, output + errors
        return output

    def mendline(self, *arguments: str) -> str:
        return self.run("python", "-m", "pipeline.commands.main", *arguments)

    def commit(self) -> None:
        self.run("git", "add", "--all")
        self.run("git", "-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "state", "--allow-empty")

    def repro(self) -> list[str]:
        """Run the pipeline; the stages that ran."""
        output = self.run("dvc", "repro")
        return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")]

    def set(self, key: str, value: object) -> None:
        yaml = YAML()
        params = yaml.load(self.folder / "params.yaml")
        *sections, name = key.split(".")
        section = params
        for key_above in sections:
            section = section[key_above]
        section[name] = value
        yaml.dump(params, self.folder / "params.yaml")
