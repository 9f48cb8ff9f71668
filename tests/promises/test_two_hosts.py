"""Ranks on two hosts on one machine: network namespaces that are joined by a virtual cable."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from helpers import mpirun
from helpers.commands import command
from helpers.running import TEXT

from charrnn.storage import checkpoint as checkpoints
from charrnn.storage import runs

ONE, TWO = (f"charrnn-{os.getpid()}-{name}" for name in ("one", "two"))
HOSTS = {"10.99.7.1": ONE, "10.99.7.2": TWO}
RSH = f"""#!/bin/sh
while [ "${{1#-}}" != "$1" ]; do shift; done
case $1 in
    10.99.7.1) name={ONE} ;;
    *) name={TWO} ;;
esac
shift
exec ip netns exec $name unshare --uts --ipc sh -c "hostname $name; mount -t tmpfs shm /dev/shm; $*"
"""
TRAIN = ["train", "text.txt", "--hidden", "8", "--batch", "4", "--seq-len", "8"]
TRAIN += ["--save-every", "10", "--eval-every", "0", "--backend", "numpy", "--quiet"]


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True)


def permitted():
    """Whether namespaces can be made here."""
    if not sys.platform.startswith("linux") or os.geteuid() or not shutil.which("ip"):
        return False
    made = ip("netns", "add", ONE, check=False).returncode == 0
    ip("netns", "del", ONE, check=False)
    return made


def wait_until_running(name, device):
    """Wait for a network device, which the kernel reports as running up to a second late.

    MPICH passes over devices that are not.
    """
    end = time.monotonic() + 30
    while b" state UP " not in ip("-n", name, "link", "show", device).stdout:
        assert time.monotonic() < end, f"{device} never ran"
        time.sleep(0.05)


pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(mpirun.MISSING), reason=mpirun.MISSING),
    pytest.mark.skipif(not permitted(), reason="may not make network namespaces"),
]


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Return a function that starts a command on both hosts, and the launcher on the first."""
    monkeypatch.setenv("CHARRNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("UCX_TLS", "tcp,self")  # else memory that the hosts share is found
    monkeypatch.setenv("FI_PROVIDER", "tcp")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT)
    rsh = tmp_path / "rsh"
    rsh.write_text(RSH)
    rsh.chmod(0o700)
    ends = ("charrnn-a", ONE), ("charrnn-b", TWO)
    try:
        for name in HOSTS.values():
            ip("netns", "add", name)
        (a, _), (b, _) = ends
        ip("link", "add", a, "netns", ONE, "type", "veth", "peer", "name", b, "netns", TWO)
        for address, (end, name) in zip(HOSTS, ends, strict=True):
            ip("-n", name, "addr", "add", f"{address}/24", "dev", end)
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", end, "up")
        for end, name in ends:
            wait_until_running(name, end)

        def launched(*words):
            line = ["ip", "netns", "exec", ONE, mpirun.MPIRUN, "-launcher", "rsh"]
            line += ["-launcher-exec", str(rsh), "-hosts", ",".join(HOSTS), "-n", "2"]
            return subprocess.Popen(
                [*line, *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )

        yield lambda *arguments: launched(*command(*arguments))
    finally:
        for name in HOSTS.values():
            ip("netns", "del", name, check=False)


def test_two_hosts_train_together(start):
    code, _, err = mpirun.ended(start(*TRAIN, "--name", "run", "--steps", "50"))
    assert (code, err) == (0, "")
    assert checkpoints.load(runs.HOME / "run" / runs.LAST).step == 50


def test_if_one_is_cut_off_all_end_and_say_so(start):
    launcher = start(*TRAIN, "--name", "run", "--steps", "10000000")
    try:
        mpirun.wait_for(runs.HOME / "run" / runs.LAST, launcher)
        ranks = [mpirun.rank_of(launcher, rank) for rank in (0, 1)]
        ip("-n", TWO, "link", "set", "charrnn-b", "down")
        line = launcher.stderr.readline()
        assert line.startswith("charrnn: error: rank 1 on ")
        assert line.endswith(" is not heard from any more; the last checkpoint is intact\n")
        end = time.monotonic() + 60
        while any(os.path.exists(f"/proc/{rank}/exe") for rank in ranks):  # noqa: PTH110
            assert time.monotonic() < end, "a rank goes on"
            time.sleep(0.2)
    finally:
        os.killpg(launcher.pid, signal.SIGKILL)  # the launcher waits for the lost host
        launcher.communicate()
    assert checkpoints.load(runs.HOME / "run" / runs.LAST).step >= 10
