"""Products in bfloat16 are exact but for the rounding of their factors, on ARM by emulation."""

from pathlib import Path

import pytest
from helpers.processors import cross_compiler, emulator, run_program

from charrnn.backend.native import build

pytestmark = pytest.mark.slow

SOURCE = Path(__file__).with_name("bf16_products.c")
NONE = 77
"""The exit status on a processor without such products."""


def check(done):
    if done.returncode == NONE:
        pytest.skip("this processor has no products in bfloat16")
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) < 1e-6


@pytest.mark.parametrize("target", build.BF16_FEATURES.get(build.machine(), ()))
def test_on_this_processor(target):
    command = build.compiler()
    if command is None:
        pytest.skip("no C compiler")
    done = run_program(SOURCE, command, build.TARGET_FLAGS[target])
    if done.returncode < 0:  # an instruction that is not known
        pytest.skip("this processor has no products in bfloat16")
    check(done)


def test_on_arm_and_only_where_the_processor_has_them():
    compiler, emulated_by = cross_compiler("aarch64", "aarch64-bf16"), emulator("aarch64")
    done = run_program(SOURCE, *compiler, emulated_by)
    assert done.returncode != NONE
    check(done)
    older = run_program(SOURCE, *compiler, (emulated_by[0], "-cpu", "cortex-a72"))
    assert older.returncode == NONE
