"""The sample and its pairs are the same bytes on processors that have other instructions."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.clone import PATIENCE, ROOT
from tests.conftest import write_params

MAKE = """
import json
from pathlib import Path

from pipeline import corrupt
from pipeline.datasets import photos
from pipeline.params import load
from pipeline.sources.sample import source as sample
from tests.conftest import hashes

if __name__ == "__main__":
    params = load()
    photos.write(corrupt.PHOTOS, *next(sample.read(params.download.sample))).to_csv(corrupt.PHOTOS / "manifest.csv")
    corrupt.make(params.corrupt.model_copy(update={"image_size": 64, "variants": 6}))
    print(json.dumps(hashes(Path("data"))))
"""
OLD = {  # each library's way of leaving out what newer processors can do; the names a library does not know it ignores
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
    "NPY_DISABLE_CPU_FEATURES": "X86_V3 X86_V4",
    "OPENBLAS_CORETYPE": "Prescott",
    "OPENCV_CPU_DISABLE": "AVX512_SKX,AVX2,FP16,AVX,SSE4_2,SSE4_1",
    "OPENCV_IPP": "disabled",
    "JSIMD_FORCESSE2": "1",
}


@pytest.fixture
def made(tmp_path):
    """The hashes of the photos and pairs that a process with this environment makes."""

    def made(environment: dict[str, str]) -> dict[str, str]:
        folder = tmp_path / "-".join(["made", *environment])
        folder.mkdir()
        write_params(folder, "sample", leaves=30, crops=2, size=96)
        (folder / "make.py").write_text(MAKE)
        shutil.copy(ROOT / "dvc.yaml", folder)
        inherited = {name: value for name, value in os.environ.items() if name not in OLD}
        child = subprocess.run(
            [sys.executable, "make.py"],
            cwd=folder,
            env=inherited | {"PYTHONPATH": str(ROOT)} | environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=PATIENCE,
        )
        return json.loads(child.stdout.splitlines()[-1])

    return made


@pytest.mark.long
def test_processors_without_newer_instructions_make_the_same_bytes(made):
    assert made(OLD) == made({})
