"""The threads of the compiled core: they share all work, and each process has its own."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from helpers.native import TARGETS, compute

from charrnn.backend import numpy_backend
from charrnn.backend.native import build
from charrnn.config import ModelConfig


def test_threads_may_compute_at_the_same_time(core):
    config = ModelConfig(layers=1, hidden=64)
    expected = compute(numpy_backend(core=core), config, 20, 20, 40)
    with ThreadPoolExecutor(4) as pool:
        runs = [
            pool.submit(compute, numpy_backend(core=core), config, 20, 20, 40) for _ in range(8)
        ]
        assert all(run.result()[0] == expected[0] for run in runs)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_computes(core):
    code = """
import os, sys
from charrnn.backend import numpy_backend, select
from charrnn.config import ModelConfig
sys.path.insert(0, sys.argv[1])
from helpers import native as t
core = t.opened()
run = lambda: t.compute(numpy_backend(core=core), ModelConfig(layers=1, hidden=64), 20, 20, 40)[0]
first = run()
child = os.fork()
if not child:
    os._exit(run() != first)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    tests = Path(__file__).parents[1]
    assert subprocess.run([sys.executable, "-c", code, str(tests)], timeout=60).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("checks", ((), ("-fsanitize=thread", "-g")), ids=("plain", "sanitized"))
def test_threads_compute_every_share_once(core, tmp_path, checks):
    rounds = "20000" if checks else "200000"
    done = run_program("pool_stress.c", tmp_path, checks, rounds)
    if checks and "unexpected memory mapping" in done.stderr:
        pytest.skip("the thread sanitizer cannot run here")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_a_forked_process_leaves_the_work_of_other_threads_alone(tmp_path):
    done = run_program("pool_fork.c", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def run_program(name, folder, checks=(), *arguments):
    """Compile a C file that is next to this one, and run it."""
    command, program = build.compiler(), folder / "program"
    if not command:
        pytest.skip("no C compiler")
    march = build.TARGET_FLAGS.get(TARGETS[-1], ())
    source = Path(__file__).with_name(name)
    compiled = subprocess.run(
        [*command, "-O2", "-std=gnu11", *march, *checks, "-Wno-unused-function",
         f"-I{build.SOURCE.parent}", str(source), "-o", str(program), "-lpthread"],
        capture_output=True, text=True,
    )  # fmt: skip
    if checks and compiled.returncode:
        pytest.skip("the compiler has no thread sanitizer")
    assert compiled.returncode == 0, compiled.stderr
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=300)
