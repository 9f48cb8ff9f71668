"""How charrnn comes to a machine: with and without a compiler, and as the wheels of a release."""

import json
import os
import re
import shutil
import struct
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import pytest

from charrnn.backend import select
from charrnn.backend.native import build, library
from charrnn.errors import BackendError

ROOT = Path(__file__).parents[2]
NATIVE = "charrnn/backend/native"
NATIVE_TESTS = sorted(map(str, (ROOT / "tests" / "backend").glob("test_native*.py")))
SHIPPED = ("charrnn", "README.md", "LICENSE", "pyproject.toml", "hatch_build.py", "justfile", ".ci")
TRAIN = ("train", "hello", "--seed", "3", "--hidden", "40", "--batch", "9", "--seq-len", "12")
TRAIN += ("--steps", "30", "--name", "run", "--quiet")
OLDER = {"NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL"}


class Environment:
    """A new virtual environment that also sees the packages of this one, but not its charrnn."""

    def __init__(self, folder, **variables):
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        self.bin, self.python = folder / "bin", folder / "bin/python"
        outside = ("CC", "CHARRNN_CORE", "CHARRNN_REQUIRE_COMPILERS", "PYTHONPATH")
        self.variables = {k: v for k, v in os.environ.items() if k not in outside}
        self.variables |= {"PIP_DISABLE_PIP_VERSION_CHECK": "1", **variables}
        got = self.run("-m", "pip", "install", "--quiet", "hatchling", "editables")
        if got.returncode:
            pytest.skip(f"hatchling cannot be installed here: {got.stderr}")
        others = [path for path in sys.path if path.endswith("site-packages")]
        self.packages = next(folder.glob("lib/python*/site-packages"))
        (self.packages / "others.pth").write_text("\n".join(others))

    def run(self, *arguments, cwd=None, **variables):
        return subprocess.run(
            [self.python, *map(str, arguments)],
            capture_output=True, text=True, timeout=600, cwd=cwd, env=self.variables | variables,
        )  # fmt: skip

    def pip(self, *arguments, cwd=None):
        """Run pip, which must succeed; return all that it says but warnings of an index."""
        options = ("--no-deps", "--no-build-isolation")
        done = self.run("-m", "pip", *arguments, *options, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        said = (done.stdout + done.stderr).splitlines()
        return "\n".join(line for line in said if not line.startswith("WARNING: Location"))

    def core(self, cwd, **variables):
        """Return what ``charrnn info --devices`` says about the compiled core."""
        done = self.run("-m", "charrnn", "info", "--devices", "--json", cwd=cwd, **variables)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["core"]

    def weights(self, cwd, **variables):
        """Train in a new folder; return the digest of the weights."""
        cwd.mkdir()
        done = self.run("-m", "charrnn", *TRAIN, cwd=cwd, **variables)
        assert done.returncode == 0, done.stderr
        shown = self.run("-m", "charrnn", "info", "--json", cwd=cwd)
        return json.loads(shown.stdout)["weights_sha256"]


@pytest.fixture
def source(tmp_path):
    """Return a copy of the files that are shipped; its only library must not be."""
    folder, unwanted = tmp_path / "source", shutil.ignore_patterns("lib", "__pycache__")
    folder.mkdir()
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=unwanted)
        else:
            shutil.copy(ROOT / name, folder / name)
    (folder / NATIVE / "lib").mkdir()
    (folder / NATIVE / "lib/core-stray.so").write_bytes(b"of a build before")
    return folder


def needs_a_compiler():
    if not build.compiler() or not build.machine():
        pytest.skip("no C compiler, or no core for this machine")


def test_a_library_of_another_source_is_not_opened(monkeypatch):
    if select("numpy", core="auto").core is None:
        pytest.skip("no compiled core")
    monkeypatch.setattr(library, "digest", lambda: "another")
    assert select("numpy").core is None
    with pytest.raises(BackendError, match=r"another version of its source.*native\.build"):
        select("numpy", core="native")


def test_the_digest_is_that_of_all_the_source_and_of_the_flags(tmp_path, monkeypatch):
    shutil.copytree(build.SOURCE.parent, tmp_path / "c")
    original = build.digest()
    monkeypatch.setattr(build, "SOURCE", tmp_path / "c/core.c")
    assert build.digest() == original
    for path in sorted((tmp_path / "c").iterdir()):
        content = path.read_bytes()
        path.write_bytes(content + b"\n")
        assert build.digest() != original, path
        path.write_bytes(content)
    monkeypatch.setattr(build, "FLAGS", (*build.FLAGS, "-ffast-math"))
    assert build.digest() != original


def test_the_command_that_compiles_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(build.build, "__defaults__", (tmp_path / "lib",))
    monkeypatch.setattr(build, "FOLDER", tmp_path / "lib")
    monkeypatch.setattr(build, "machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    assert "install gcc or clang" in build.main([])
    monkeypatch.setenv("CC", "no-such-compiler --fast")
    assert "no-such-compiler --fast cannot compile the core: " in build.main([])
    assert "No such file" in build.main([])
    old = tmp_path / "old-compiler"
    old.write_text(
        "#!/bin/sh\necho 'old: note: a remark' >&2\necho 'old: error: too old' >&2\nexit 1"
    )
    old.chmod(0o755)
    monkeypatch.setenv("CC", str(old))
    assert build.main([]).endswith("cannot compile the core: old: error: too old")
    (tmp_path / "lib").rmdir()
    (tmp_path / "lib").write_text("not a folder")
    assert "exists" in build.main([])
    assert "no arguments" in build.main(["x86_64"])
    monkeypatch.setattr(build, "machine", lambda: "")
    assert "does not support" in build.main([])


def test_a_compiler_that_fails_leaves_what_was_there(tmp_path, monkeypatch):
    monkeypatch.setattr(build, "machine", lambda: "aarch64")
    monkeypatch.setenv("CC", "no-such-compiler")
    (tmp_path / "core-aarch64.so").write_bytes(b"as before")
    assert build.build(tmp_path) == []
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"as before"]


def test_an_unsupported_system_is_named(monkeypatch):
    monkeypatch.setattr(library, "machine", lambda: "")
    monkeypatch.setattr(library.platform, "system", lambda: "Windows")
    with pytest.raises(BackendError, match="does not support Windows"):
        library.open_core(1)


def test_an_unknown_platform_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="unknown platform 'win_amd64'; choose one of manylinux"):
        build.cross_build("win_amd64", tmp_path)


@pytest.mark.slow
def test_without_a_compiler_charrnn_installs_and_numpy_computes(source, tmp_path):
    new = Environment(tmp_path / "venv")
    new.variables["PATH"] = str(new.bin)
    said = new.pip("install", source).replace(str(tmp_path), "").lower()
    assert "error" not in said
    assert "compil" not in said
    core = new.core(tmp_path)
    if build.machine():
        assert core["target"] is None
        assert "not built" in core["problem"]
    assert len(new.weights(tmp_path / "work")) == 64
    done = new.run("-m", "charrnn", *TRAIN, "--core", "native", cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert not build.machine() or build.COMMAND in done.stderr
    done = new.run("-m", "charrnn.backend.native.build", cwd=tmp_path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    done = new.run(
        "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider",
        *NATIVE_TESTS, "promises/test_same_bits.py", cwd=ROOT / "tests",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert " skipped" in done.stdout


@pytest.mark.slow
def test_the_source_distribution_and_the_clone_bring_the_core_along(source, tmp_path):
    needs_a_compiler()
    new, made = Environment(tmp_path / "venv"), tmp_path / "made"
    done = new.run("-m", "hatchling", "build", "-t", "sdist", "-d", made, cwd=source)
    assert done.returncode == 0, done.stderr
    [distribution] = made.glob("*.tar.gz")
    new.pip("wheel", "--wheel-dir", made, distribution)
    [wheel] = made.glob("*.whl")
    assert re.fullmatch(r"charrnn-[\d.]+-py3-none-(linux|macosx)_\w+\.whl", wheel.name)
    names = ZipFile(wheel).namelist()
    libraries = {f"{NATIVE}/lib/{build.file_name(t)}" for t in build.targets(build.machine())}
    assert {name for name in names if "/lib/" in name} <= libraries
    for path in build.SOURCE.parent.iterdir():
        assert f"{NATIVE}/c/{path.name}" in names
    pages = {name.rpartition("/")[2] for name in names if "/data/share/man/man1/" in name}
    assert {"charrnn.1", "charrnn-train.1", "charrnn-corpus-make.1"} <= pages
    new.pip("install", wheel)
    code = (
        "import sys; from charrnn.cli.parsing.stored import answer; "
        "print(answer(['completion', 'zsh', '--', 'train', '--cell', 'l']), end=''); "
        "print(answer(['train', '--help'])[:5], 'typer' in sys.modules)"
    )
    told = "lstm\nUsage False\n"
    assert new.run("-c", code, cwd=tmp_path).stdout == told
    installed = new.core(tmp_path)
    assert installed["target"]
    new.run("-m", "pip", "uninstall", "--yes", "charrnn")

    new.pip("install", "--editable", source)
    assert new.core(tmp_path) == installed
    assert new.run("-c", code, cwd=tmp_path).stdout == told
    with (source / NATIVE / "c/core.c").open("a") as file:
        file.write("// changed\n")
    stale = new.core(tmp_path)
    assert stale["target"] is None
    assert "another version of its source" in stale["problem"]
    assert new.run(*build.COMMAND.split()[1:], cwd=tmp_path).returncode == 0
    assert new.core(tmp_path) == installed


def mach_commands(data):
    """Return the load commands of a Mach-O file."""
    [count] = struct.unpack_from("<I", data, 16)
    commands, at = {}, 32
    for _ in range(count):
        command, size = struct.unpack_from("<II", data, at)
        commands[command] = data[at : at + size]
        at += size
    return commands


def least_macos(commands):
    """Return the load command that names the oldest macOS for a library, and where it does."""
    return (commands[0x32], 12) if 0x32 in commands else (commands[0x24], 8)


def check_library(data, tag):
    """Check that a library is for a platform, and needs nothing newer."""
    version, architecture = tag.split("_", 1)[1].split("_", 2)[:2], build.PLATFORMS[tag][0]
    wanted = tuple(map(int, version))
    assert build.digest().encode() in data
    if tag.startswith("manylinux"):
        assert data[:4] == b"\x7fELF"
        assert struct.unpack_from("<H", data, 18)[0] == {"x86_64": 62, "aarch64": 183}[architecture]
        needed = [tuple(map(int, v.split(b"."))) for v in re.findall(rb"GLIBC_([\d.]+)", data)]
        assert (2,) < max(needed) <= wanted
        return
    magic, processor = struct.unpack_from("<II", data)
    assert magic == 0xFEEDFACF
    assert processor == {"x86_64": 0x01000007, "aarch64": 0x0100000C}[architecture]
    commands = mach_commands(data)
    assert architecture == "x86_64" or 0x1D in commands, "macOS refuses it without a signature"
    [least] = struct.unpack_from("<I", *least_macos(commands))
    assert (least >> 16, least >> 8 & 255) <= wanted


@pytest.mark.slow
def test_a_release_has_wheels_whose_core_computes_the_same_bits(source, tmp_path):
    if find_spec("ziglang") is None:
        pytest.skip("ziglang is not installed (pip install ziglang)")
    new, made = Environment(tmp_path / "venv"), tmp_path / "made"
    done = subprocess.run(
        [source / ".ci/wheels", made], capture_output=True, text=True, timeout=900,
        env=new.variables | {"PATH": f"{new.bin}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    wheels = {path.stem.split("-", 4)[4]: ZipFile(path) for path in made.glob("*.whl")}
    assert set(wheels) == {*build.PLATFORMS, "any"}
    for tag, wheel in wheels.items():
        libraries = {n for n in wheel.namelist() if n.startswith(f"{NATIVE}/lib/")}
        targets = build.targets(build.PLATFORMS[tag][0]) if tag != "any" else []
        assert libraries == {f"{NATIVE}/lib/{build.file_name(target)}" for target in targets}
        for name in libraries:
            check_library(wheel.read(name), tag)

    new.pip("install", "--ignore-installed", "--no-index", "--find-links", made, "charrnn")
    installed = new.core(tmp_path)
    if installed["target"] is None:
        pytest.skip("no wheel of a release is for this machine")
    folder = new.packages / NATIVE / "lib"
    done = new.run(
        "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", *NATIVE_TESTS,
        cwd=ROOT / "tests", CHARRNN_TEST_LIBRARIES=str(folder), CHARRNN_REQUIRE_COMPILERS="c",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    needs_a_compiler()
    by_clang = [new.weights(tmp_path / "new"), new.weights(tmp_path / "older", **OLDER)]
    assert build.build(folder), "the machine's compiler fails"
    assert new.core(tmp_path) == installed
    by_another = [new.weights(tmp_path / "mine"), new.weights(tmp_path / "mine-older", **OLDER)]
    assert by_clang[0] == by_clang[1]
    assert by_another == by_clang
