"""Which compiled core is chosen, and what happens where there is none."""

import pytest

from charrnn.backend import select
from charrnn.backend.native import build, library
from charrnn.backend.selection import CORE_VARIABLE
from charrnn.errors import BackendError, UsageError


def test_products_in_bfloat16_are_chosen_by_hand_and_refused_where_there_are_none(monkeypatch):
    monkeypatch.delenv(CORE_VARIABLE, raising=False)
    with pytest.raises(UsageError, match="bf16 needs the compiled core"):
        select("numpy", "bf16", core="numpy")
    with pytest.raises(UsageError, match="bf16 needs the compiled core"):
        select("cupy", "bf16")
    monkeypatch.setattr(library, "features", lambda: {"AVX512F": True, "AVX512_SKX": True})
    with pytest.raises(BackendError, match=r"no products in bfloat16.*leave out"):
        select("numpy", "bf16")


def test_an_unknown_core_is_a_usage_error(monkeypatch):
    with pytest.raises(UsageError, match="unknown core 'fast'"):
        select("numpy", core="fast")
    monkeypatch.setenv(CORE_VARIABLE, "fast")
    with pytest.raises(UsageError, match="CHARRNN_CORE is 'fast'; set it to one of auto, native"):
        select("numpy")


def test_without_a_library_numpy_computes(tmp_path, monkeypatch):
    monkeypatch.setattr(library.open_core, "__defaults__", (tmp_path, "fp32"))
    assert select("numpy").core is None
    with pytest.raises(BackendError, match=r"not built|does not support") as caught:
        select("numpy", core="native")
    assert caught.value.exit_code == 1


def test_the_best_library_that_the_processor_can_run_is_chosen():
    targets = build.FEATURES["x86_64"]
    every = dict.fromkeys({f for features in targets.values() for f in features}, True)
    assert library.runnable(targets, every) == ["x86-64-v4", "x86-64-v3"]
    assert library.runnable(targets, every | {"AVX512_SKX": False}) == ["x86-64-v3"]
    assert library.runnable(targets, {}) == []


def test_a_library_that_the_system_does_not_let_run_is_passed_over(tmp_path, monkeypatch):
    asked = []

    class Opened:
        def __init__(self, path, target, threads):
            asked.append(target)
            self.name, self.usable = target, len(asked) > 1

    every = dict.fromkeys(("AVX512F", "AVX512_SKX", "AVX512BF16"), True)
    monkeypatch.setattr(library, "machine", lambda: "x86_64")
    monkeypatch.setattr(library, "features", lambda: every)
    monkeypatch.setattr(library, "open_library", Opened)
    for target in build.BF16_FEATURES["x86_64"]:
        (tmp_path / build.file_name(target)).touch()
    assert library.open_core(1, tmp_path, "bf16").name == "x86-64-v4-bf16"
    assert asked == ["x86-64-v4-amx", "x86-64-v4-bf16"]


def test_a_library_that_finds_no_such_products_says_so(tmp_path, monkeypatch):
    """On aarch64 only the library itself can tell."""

    class Opened:
        usable = False

        def __init__(self, path, target, threads):
            pass

    monkeypatch.setattr(library, "machine", lambda: "aarch64")
    monkeypatch.setattr(library, "open_library", Opened)
    with pytest.raises(BackendError, match="not built"):
        library.open_core(1, tmp_path, "bf16")
    (tmp_path / build.file_name("aarch64-bf16")).touch()
    with pytest.raises(BackendError, match=r"no products in bfloat16.*leave out"):
        library.open_core(1, tmp_path, "bf16")


def test_without_a_compiler_nothing_is_built(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert build.build(tmp_path / "lib") == []
    monkeypatch.setenv("CC", "/bin/false")
    assert build.build(tmp_path / "lib") == []
    assert not list((tmp_path / "lib").glob("*.so"))
