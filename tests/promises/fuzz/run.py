"""Fuzz one reader: ``python tests/promises/fuzz/run.py TARGET --seconds N [--folder DIR]``.

Coverage guided, with atheris. An exception that is not CharRNNError is a finding: it is told with
the input that made it (kept in the folder) and the search goes on, each place in the code being
told once. Exit code 0 without findings, 1 with findings, 2 where atheris is missing. A hang of 20 s
or 1 GiB of memory ends the search.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

MEMORY_MB, HANG = 1024, 20
ROUND = 300  # seconds of one process: atheris itself takes more and more memory


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", choices=("checkpoint", "vocabulary", "corpus", "table"))
    parser.add_argument("--seconds", type=int, default=20)
    parser.add_argument("--folder", type=Path, help="keep inputs that reach new code, and findings")
    parser.add_argument("--input", type=Path, help="run this one input, without atheris")
    options = parser.parse_args()
    if options.input:
        return once(options.target, options.input.read_bytes())
    try:
        import atheris  # noqa: F401
    except ImportError:
        print("atheris is not installed: pip install atheris", file=sys.stderr)
        return 2
    folder = options.folder or Path(tempfile.mkdtemp(prefix="charrnn-fuzz-"))
    (folder / "inputs").mkdir(parents=True, exist_ok=True)
    (folder / "findings").mkdir(exist_ok=True)
    summary = {"target": options.target, "seconds": 0, "exit": 0, "findings": []}
    while options.seconds > summary["seconds"] and not summary["exit"]:
        one_round(options.target, min(ROUND, options.seconds - summary["seconds"]), folder, summary)
    print(json.dumps(summary))
    failed = bool(summary["findings"] or summary["exit"])
    if options.folder is None and not failed:
        shutil.rmtree(folder)
    return int(failed)


def one_round(name, seconds, folder, summary):
    """Search in a separate process, which libFuzzer ends, and add the results."""
    started = time.monotonic()
    context = multiprocessing.get_context("spawn")
    child = context.Process(target=search, args=(name, seconds, folder, summary["findings"]))
    child.start()
    child.join(seconds + 120)
    if child.is_alive():
        child.kill()
        child.join()
    found = json.loads((folder / "summary.json").read_text())
    for count in ("executions", "accepted", "refused"):
        summary[count] = summary.get(count, 0) + found[count]
    summary["findings"] = found["findings"]
    summary["exit"] = child.exitcode
    summary["seconds"] += max(1, round(time.monotonic() - started))


def once(name, data):
    import targets

    try:
        targets.TARGETS[name][0](data)
    except targets.EXPECTED as problem:
        print(f"refused: {problem}")
    else:
        print("accepted")
    return 0


def search(name, seconds, folder, findings):
    """Run libFuzzer in this process until the time is over."""
    import atheris

    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with atheris.instrument_imports(include=["charrnn"]):
        import targets

        import charrnn.text.builtin
        import charrnn.text.corpus
        import charrnn.text.encode
        import charrnn.text.reading  # noqa: F401

    import mutations

    target, seeds = targets.TARGETS[name]
    real = list(seeds())
    for number, seed in enumerate(real):
        (folder / "inputs" / f"seed-{number}").write_bytes(seed)
    counts = {"target": name, "executions": 0, "accepted": 0, "refused": 0}
    counts["findings"] = findings
    written = 0.0

    def tell():
        (folder / "summary.json").write_text(json.dumps(counts))

    def one(data):
        nonlocal written
        counts["executions"] += 1
        try:
            target(data)
            counts["accepted"] += 1
        except targets.EXPECTED:
            counts["refused"] += 1
        except Exception as problem:
            keep(folder, counts["findings"], problem, data)
            tell()
        if time.monotonic() - written > 1:
            written = time.monotonic()
            tell()

    def mutator(data, limit, seed):
        if seed % 2:  # a change of what was refused already is refused most of the time
            data = real[seed // 2 % len(real)]
        made = mutations.mutate(data, limit, seed, atheris.Mutate)
        return made if len(made) <= limit else data[:limit]

    tell()
    arguments = [
        *(sys.argv[0], f"-max_total_time={seconds}", f"-timeout={HANG}"),
        *(f"-rss_limit_mb={MEMORY_MB}", f"-artifact_prefix={folder}/findings/", "-max_len=524288"),
        *("-print_final_stats=1", "-verbosity=0", "-len_control=0", str(folder / "inputs")),
    ]
    custom = {"custom_mutator": mutator} if name == "checkpoint" else {}
    atheris.Setup(arguments, one, **custom)
    import atexit

    atexit.register(tell)
    atheris.Fuzz()


def keep(folder, findings, problem, data):
    """Keep an input whose failure is new."""
    frames = traceback.extract_tb(problem.__traceback__)
    mine = [f for f in frames if "charrnn" in f.filename] or frames
    where = f"{type(problem).__name__} at {Path(mine[-1].filename).name}:{mine[-1].lineno}"
    if any(f["where"] == where for f in findings):
        return
    number = len(findings)
    path = folder / "findings" / f"input-{number}"
    path.write_bytes(data)
    (folder / "findings" / f"trace-{number}.txt").write_text(
        "".join(traceback.format_exception(problem))
    )
    findings.append({"where": where, "message": str(problem)[:200], "input": str(path)})
    print(f"finding: {where}: {str(problem)[:200]!r} ({path})", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
