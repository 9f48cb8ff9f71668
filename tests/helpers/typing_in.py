"""An interactive shell on a terminal of its own, in which somebody types."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import sys
import termios
from pathlib import Path
from time import monotonic

SHOW = "\x0f"  # Ctrl-O, which no shell here needs
START = {
    "zsh": (
        ".zshrc",
        "autoload -Uz compinit; compinit -u -D\n{setup}\n"
        "shown() {{ print -r -- $BUFFER > $HOME/shown }}\n"
        "zle -N shown; bindkey '^O' shown; bindkey '^I' complete-word; LISTMAX=1000\n",
    ),
    "bash": (
        ".bashrc",
        '{setup}\nshown() {{ printf \'%s\\n\' "$READLINE_LINE" > "$HOME/shown"; }}\n'
        "bind -x '\"\\C-o\": shown'; bind 'set completion-query-items 0'\n",
    ),
    "fish": (
        ".config/fish/config.fish",
        "{setup}\nset -g fish_greeting; set -g fish_autosuggestion_enabled 0\n"
        "function fish_prompt; printf '> '; end\n"
        "bind \\co 'commandline > $HOME/shown'\n",
    ),
}
"""The file that each shell reads when it starts, and what is in it."""


def typed(shell, keys, place, setup):
    """Type keys in a shell in the folder ``place``; return its line then, and what it shows.

    ``charrnn`` is that of this Python there, and ``setup`` is run first.
    """
    home = place / f"home-of-{shell}"
    home.mkdir(exist_ok=True)
    name, start = START[shell]
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    (home / name).write_text(
        start.format(setup=setup) + ("" if shell == "fish" else "PS1='> '; ") + "echo read''y\n"
    )
    shown = home / "shown"
    shown.unlink(missing_ok=True)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = {**os.environ, "HOME": str(home), "ZDOTDIR": str(home), "TERM": "xterm", "PATH": path}
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(place)
        os.execvpe(shell, [shell, "-i"], env)
    try:
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 100, 0, 0))
        before = _read(terminal, lambda out: b"ready" in out and b"> " in out)
        os.write(terminal, keys.encode() + SHOW.encode())
        after = _read(terminal, lambda out: shown.exists() and shown.read_text().endswith("\n"))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(terminal)
    assert b"ready" in before, before
    return shown.read_text()[:-1], re.sub(r"\x1b\[[\d;?]*[A-Za-z]|\r", "", after.decode())


def _read(terminal, enough, limit=60):
    """Return what a terminal shows until it is enough and nothing more comes."""
    out, end = b"", monotonic() + limit
    while monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                out += os.read(terminal, 65536)
            except OSError:  # the shell has ended
                break
        elif enough(out):
            break
    return out
