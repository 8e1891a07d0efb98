import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.runtime.errors import CLOSED, UserError, excerpt, one_line, one_line_errors
from tests.clone import ROOT

RAISING = "from pipeline.runtime.errors import UserError, one_line_errors\nwith one_line_errors():\n    "


def ended(code: str, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", RAISING + code]
    return subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, text=True, check=False, **options)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (UserError("a: wrong; mend it"), "a: wrong; mend it"),
        (UserError("a\nb\x1b[31m\ud800\u2028"), r"a\nb\x1b[31m\ud800\u2028"),
        (OSError(errno.ENOSPC, "No space left on device"), "No space left on device; make room and run again"),
        (PermissionError(errno.EACCES, "Permission denied", "data"), "data: Permission denied; change its permissions"),
        (OSError(errno.EACCES, "Permission denied", "\udcff.jpg"), r"\udcff.jpg: Permission denied; change its per"),
        (OSError("no answer"), "no answer"),
        (OSError(), "OSError"),
        (MemoryError(), "not enough memory; end other programs, or do less at once"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 99"), "not enough memory; end other"),
        (RuntimeError("CUDA out of memory. Tried to allocate 20 GiB."), "not enough memory; end other programs"),
        (RecursionError("maximum recursion depth exceeded"), "what was read is nested too deeply; check params.yaml"),
        (UnicodeEncodeError("utf-8", "\udcff.jpg", 0, 1, "surrogates"), r"'\udcff.jpg': not utf-8; rename it"),
        (UnicodeDecodeError("utf-8", b"\xff" * 5000, 0, 1, "invalid"), r"b'\xff"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_a_user_can_mend_is_one_line(error, line):
    with pytest.raises(SystemExit) as ended, one_line_errors():
        raise error
    assert str(ended.value).startswith(f"error: {line}")
    assert len(str(ended.value).splitlines()) == 1
    assert len(str(ended.value)) < 300


def test_a_fault_of_the_program_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError), one_line_errors():
        raise ZeroDivisionError


def test_ctrl_c_is_one_line():
    done = ended("raise KeyboardInterrupt", capture_output=True)
    assert (done.returncode, done.stdout) == (130, "")
    assert done.stderr == "error: stopped by SIGINT; run the same command again\n"


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_name_that_stdout_cannot_show_is_escaped(encoding):
    done = ended(r"print('\udcff\u00e9')", capture_output=True, env=os.environ | {"PYTHONIOENCODING": encoding})
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(r"\udcff")


@pytest.mark.parametrize("code", ["print('a')", "print('a', flush=True)", "print('a' * 10**6)", "raise SystemExit"])
def test_a_reader_that_has_gone_is_one_line(code):
    reading, writing = os.pipe()
    os.close(reading)
    done = ended(code, stdout=writing, stderr=subprocess.PIPE)
    os.close(writing)
    assert done.stderr == ("" if "Exit" in code else f"error: {CLOSED}\n")
    assert done.returncode == (0 if "Exit" in code else 1)


def test_a_user_error_is_told_though_nobody_reads_stdout():
    reading, writing = os.pipe()
    os.close(reading)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = ended("print('a')\n    raise UserError('b')", stdout=writing, stderr=subprocess.PIPE, env=buffered)
    os.close(writing)
    assert (done.returncode, done.stderr) == (1, "error: b\n")


FULL = "error: stdout: No space left on device; make room and run again\n"


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("print('a')", FULL),
        ("print('a'); raise SystemExit", FULL),
        ("print('a'); raise SystemExit(0)", FULL),
        ("print('a' * 10**6)", FULL.replace("stdout: ", "")),
        ("print('a'); raise UserError('b')", "error: b\n"),
        ("print('a'); raise KeyboardInterrupt", "error: stopped by SIGINT; run the same command again\n"),
    ],
)
def test_a_full_stdout_is_one_line(code, line):
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with Path("/dev/full").open("w") as full:
        done = ended(code, stdout=full, stderr=subprocess.PIPE, env=buffered)
    assert done.stderr == line
    assert done.returncode == (130 if "Keyboard" in code else 1)


def without(stream: str, code: str) -> subprocess.CompletedProcess:
    """Run with a closed stream."""
    command = ["sh", "-c", f'exec "{sys.executable}" -c "$0" {stream}', RAISING + code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_closed_stdout_is_no_error():
    done = without(">&-", "print(1)")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_said_on_a_closed_stderr_is_said_nowhere():
    done = without("2>&-", "import sys; print('said', file=sys.stderr); sys.stderr.write('said'); print('result')")
    assert (done.returncode, done.stdout) == (0, "result\n")
    done = without("2>&-", "raise UserError('said')")
    assert (done.returncode, done.stdout) == (1, "")


LONG = {
    "text": "x" * 5000,
    "list": ["y"] * 5000,
    "dict": {n: n for n in range(5000)},
    "int": 16**5000,
    "bytes": b"z" * 5000,
}


@pytest.mark.parametrize("value", LONG.values(), ids=LONG)
def test_an_excerpt_is_short(value):
    assert 0 < len(excerpt(value)) < 200


@pytest.mark.parametrize("path", ["x" * 5000, "x/" * 2500])
def test_a_line_is_short_however_long_a_path_is_and_keeps_what_to_do(path):
    with pytest.raises(SystemExit) as ended, one_line_errors():
        Path(path).read_bytes()
    assert str(ended.value).startswith("error: x")
    assert str(ended.value).endswith("; give a shorter name")
    assert len(str(ended.value)) < 520


def test_letters_of_any_script_stay():
    assert one_line("été 写真 🙂 ‍ \u3000") == "été 写真 🙂 ‍ \u3000"
