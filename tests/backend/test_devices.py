"""The devices to compute on, what is missing, and the message when memory is full."""

import importlib
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from doubles import fake_cupy
from helpers import commands

from charrnn.backend import memory, numpy_backend, select
from charrnn.backend.describe import describe
from charrnn.cli import app
from charrnn.errors import UsageError
from charrnn.storage import checkpoint

STUBS = {
    "missing": "raise ModuleNotFoundError(\"No module named 'cupy'\", name='cupy')",
    "broken": "raise ImportError('libcublas.so.13: cannot open\\nshared object file')",
    "no driver": """
__version__ = "14.2.0"
def is_available(): return False
class cuda:
    class runtime:
        def getDeviceCount(): raise RuntimeError("cudaErrorInsufficientDriver: too old")
        def runtimeGetVersion(): return 13020
        def driverGetVersion(): return 0
""",
    "no device": """
__version__ = "14.2.0"
def is_available(): return False
class cuda:
    class runtime:
        def getDeviceCount(): return 0
        def runtimeGetVersion(): return 13020
        def driverGetVersion(): return 13000
""",
    "cannot compute": """
__version__, float32 = "14.2.0", "float32"
def is_available(): return True
class cuda:
    def Device(): raise RuntimeError("CUDA_ERROR_NOT_PERMITTED: \\x1b[31mno\\nsecond line")
    class runtime:
        def getDeviceCount(): raise RuntimeError("CUDA_ERROR_NOT_PERMITTED")
        def runtimeGetVersion(): return 13020
        def driverGetVersion(): return 13000
""",
}
SAYS = {
    "missing": "CuPy is not installed; pip install",
    "broken": "CuPy cannot be imported: libcublas.so.13: cannot open",
    "no driver": "finds no GPU (cudaErrorInsufficientDriver: too old)",
    "no device": "finds no GPU (no device is visible)",
    "cannot compute": "finds a GPU but cannot compute on it: CUDA_ERROR_NOT_PERMITTED",
}
stubs = pytest.mark.parametrize("stub", STUBS)
LITTLE = ["--windows", "4", "--targets", "8", "--lyapunov-steps", "60"]
SHORT = ["train", "hello", "--hidden", "4", "--steps", "2", "--eval-every", "0"]


@pytest.fixture
def charrnn(home, monkeypatch):
    """Run a command with a stub for CuPy in its path."""
    folder = home / "stub"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setitem(sys.modules, "cupy", None)  # what was there before comes back

    def run(stub, *arguments):
        (folder / "cupy.py").write_text(STUBS[stub], encoding="utf-8")
        sys.modules.pop("cupy", None)
        importlib.invalidate_caches()
        return commands.inside(*arguments)

    yield run
    shutil.rmtree(folder)


@stubs
def test_each_thing_that_may_be_missing_has_its_message(stub, charrnn):
    done = charrnn(stub, *SHORT, "--backend", "cupy")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("charrnn: error: ")
    assert SAYS[stub] in done.stderr
    assert done.stderr.rstrip("\n").isprintable()
    assert not Path("checkpoints").exists()
    others = [says for name, says in SAYS.items() if name != stub]
    assert not any(says in done.stderr for says in others)


@stubs
def test_auto_falls_back_with_a_note_where_cupy_is_installed(stub, charrnn):
    done = charrnn(stub, *SHORT, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout.splitlines()[0])["backend"] == "numpy"
    if stub == "missing":
        assert done.stderr == ""
        return
    first, *rest = done.stderr.splitlines()
    assert first.startswith("charrnn: note: no GPU: CuPy")
    assert first.endswith("; computing on the CPU")
    assert SAYS[stub].partition(";")[0] in first
    assert rest == []
    if stub == "broken":
        quiet = charrnn(stub, *SHORT, "--quiet", "--backend", "numpy")
        assert (quiet.returncode, quiet.stderr) == (0, "")
    sampled = charrnn(stub, "sample", "--length", "3")
    assert len(sampled.stdout) == 3
    assert sampled.stderr == done.stderr


@stubs
def test_the_devices_are_told_also_where_there_are_none(stub, charrnn):
    done = charrnn(stub, "info", "--devices", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    facts = json.loads(done.stdout)
    assert facts["auto"]["backend"] == "numpy"
    assert SAYS[stub].partition(";")[0] in facts["auto"]["why"]
    assert facts["numpy"]["version"] == np.__version__
    cupy = facts["cupy"]
    assert cupy["devices"] == []
    if stub not in ("missing", "broken"):
        assert (cupy["version"], cupy["runtime"]) == ("14.2.0", "13.2")
        assert cupy["driver"] == (None if stub == "no driver" else "13.0")
    shown = charrnn(stub, "info", "--devices").stdout
    assert shown.startswith("auto uses")
    assert all(line.isprintable() for line in shown.splitlines())


def test_a_gpu_is_described(device, capfdbinary):
    device.devices = 2
    facts = describe()
    assert facts["auto"] == {"backend": "cupy", "why": "a GPU works"}
    assert [gpu["name"] for gpu in facts["cupy"]["devices"]] == ["Double GPU"] * 2
    gpu = facts["cupy"]["devices"][1]
    assert (gpu["memory_total"], gpu["memory_free"]) == (80 << 30, 61 << 30)
    assert gpu["compute_capability"] == "9.0"
    assert facts["cupy"]["problem"] is None
    assert app.run(["info", "--devices"]) == 0
    shown = capfdbinary.readouterr().out.decode()
    assert "GPU 1          Double GPU, compute capability 9.0, 132 multi" in shown
    assert "85.9 GB, 65.5 GB free" in shown


def test_devices_are_of_the_machine_not_of_a_run(capfd):
    assert app.run(["info", "some-run", "--devices"]) == 2
    assert "--devices" in capfd.readouterr().err


def test_products_are_fp32_unless_tf32_is_asked_for(device):
    assert select("cupy").matmul == "fp32"
    assert select("auto", "tf32").matmul == "tf32"
    assert device.products == [("float32", "fp32"), ("float32", "tf32")]


def test_tf32_is_for_gpus_that_have_it(device, monkeypatch):
    with pytest.raises(UsageError, match="tf32 needs a GPU"):
        select("numpy", "tf32")
    monkeypatch.setattr(fake_cupy._Device, "compute_capability", "75")
    with pytest.raises(UsageError, match=r"compute capability 8\.0"):
        select("cupy", "tf32")
    assert device.products == []
    device.devices = 0
    with pytest.raises(UsageError, match=r"the CPU is used .*finds no GPU"):
        select("auto", "tf32")
    with pytest.raises(UsageError, match="fp32, tf32"):
        select("cupy", "fp8")


@pytest.mark.slow
@pytest.mark.parametrize("matmul", ["fp32", "tf32"])
def test_training_says_how_products_are_computed(matmul, device, home, capfd):
    assert app.run([*SHORT, "--backend", "cupy", "--matmul", matmul]) == 0
    assert f"float32 on cupy ({matmul})" in capfd.readouterr().err


FULL = (
    fake_cupy.OutOfMemoryError("Out of memory allocating 1,024 bytes"),
    fake_cupy.CUDARuntimeError("cudaErrorMemoryAllocation: out of memory"),
)


@pytest.mark.parametrize("problem", FULL, ids=lambda problem: type(problem).__name__)
def test_a_full_gpu_is_one_line_and_the_checkpoint_is_intact(
    problem, device, home, capfd, monkeypatch
):
    device.memory = (1 << 20, 8 << 30)
    products, matmul = [], device.matmul

    def fill_up(*arguments, **keywords):
        products.append(arguments)
        if len(products) > 400:
            raise problem
        return matmul(*arguments, **keywords)

    monkeypatch.setattr(device, "matmul", fill_up, raising=False)
    wanted = ["train", "hello", "--hidden", "4", "--steps", "99", "--seq-len", "8"]
    code = app.run([*wanted, "--save-every", "2", "--backend", "cupy", "--quiet"])
    assert code == 1
    told = capfd.readouterr().err
    assert told.count("\n") == 1
    assert told.startswith("charrnn: error: out of GPU memory: ")
    assert re.search(r"this needs about [0-9.]+ [kM]B, 1\.07 GB of 8\.59 GB are free", told)
    assert "lower --batch, --seq-len, --hidden or --layers" in told
    kept = checkpoint.load(home / "checkpoints" / "hello" / "last.safetensors")
    assert kept.step > 0
    assert kept.step % 2 == 0


def test_a_full_machine_is_one_line(monkeypatch, home, capfd):
    def fill_up(self):
        raise MemoryError("Unable to allocate 3.2 TiB for an array")

    monkeypatch.setattr("charrnn.train.loop.Loop.step", fill_up)
    assert app.run([*SHORT, "--backend", "numpy", "--quiet"]) == 1
    told = capfd.readouterr().err
    assert told.startswith("charrnn: error: out of memory: ")
    assert told.count("\n") == 1


def test_what_is_needed_is_told_where_it_is_known(device):
    device.memory = (0, 8 << 30)
    told = memory.explain(FULL[0], need=12_300_000_000)
    assert "this needs about 12.3 GB, 1.07 GB of 8.59 GB are free" in str(told)
    assert told.exit_code == 1


def test_other_failures_are_not_taken_for_a_lack_of_memory(device):
    for problem in (
        ValueError("cudaErrorMemoryAllocation"),
        fake_cupy.CUDARuntimeError("cudaErrorIllegalAddress"),
        OSError(28, "No space left on device"),
    ):
        assert memory.explain(problem) is None


def test_the_smallest_limit_counts(device, monkeypatch):
    """Of the machine, the container and the process; on a GPU it is the GPU's memory."""
    monkeypatch.setattr(memory, "_resource_limits", lambda: [10**15])
    for container in (12345, None):
        monkeypatch.setattr(memory, "_cgroup", lambda found=container: found)
        assert memory.limit(numpy_backend()) == (container or memory.host().total)
    monkeypatch.setattr(memory, "_resource_limits", lambda: [10**15, 1000])
    assert memory.limit(numpy_backend()) == 1000
    monkeypatch.setattr(memory, "host", lambda: memory.Memory(None, None))
    monkeypatch.setattr(memory, "_resource_limits", list)
    assert memory.limit(numpy_backend()) is None
    assert memory.limit(select("cupy")) == device.memory[1]


def test_the_memory_of_the_machine_is_known():
    there = memory.host()
    assert there.total is None or there.total > 1 << 20
    assert there.free is None or 0 < there.free < there.total
    assert numpy_backend().matmul == "fp32"


@pytest.fixture(params=["device", pytest.param("compiling", marks=pytest.mark.slow)])
def double(request):
    """The double by plain definitions, and the one that runs kernels."""
    return request.getfixturevalue(request.param)


@pytest.mark.slow
def test_every_command_runs_on_a_gpu_and_says_what_it_says_on_a_processor(
    double, home, capfdbinary
):
    Path("text.txt").write_text("in the beginning was the word; " * 40, encoding="utf-8")
    train = ["text.txt", "--quiet", "--dtype", "float64", "--layers", "2", "--hidden", "6"]
    train += ["--seq-len", "9", "--batch", "3", "--dropout", "0.2", "--schedule", "constant"]
    told = {}
    for name in ("numpy", "cupy"):
        there = ["--backend", name]
        told[name] = []
        for arguments in (
            ["train", *train, "--steps", "7", "--out", name, "--log-every", "1"],
            ["train", "--resume", name, "--quiet", "--steps", "12"],
            ["sample", name, "--length", "30", "--seed", "3", "--temp", "0.8", "--top-p", "0.9"],
            ["sample", name, "--length", "9", "--count", "3", "--json", "--seed", "4"],
            ["eval", "text.txt", "--run", name, "--json"],
            ["diagnose", name, "--json", "--context", "8", "--anchors", "4", *LITTLE],
        ):
            code = app.run([*arguments, *there])
            out, err = capfdbinary.readouterr()
            assert (code, err) == (0, b""), arguments
            told[name].append(out.replace(name.encode(), b"run"))
    assert double.uploads and double.downloads
    for mine, theirs in zip(told["cupy"], told["numpy"], strict=True):
        if not theirs.startswith(b"{"):
            assert mine == theirs
            continue
        mine, theirs = (flat(list(map(json.loads, out.splitlines()))) for out in (mine, theirs))
        assert mine.keys() == theirs.keys()
        for key, value in theirs.items():
            if isinstance(value, float):
                value = pytest.approx(value, rel=1e-5, abs=1e-9)
            assert mine[key] == value, key


def flat(value, name=""):
    """Return the numbers and words of a JSON value by their paths."""
    inside = value.items() if isinstance(value, dict) else enumerate(value)
    found = {}
    for key, part in inside:
        path = f"{name}/{key}"
        found |= flat(part, path) if isinstance(part, dict | list) else {path: part}
    return found
