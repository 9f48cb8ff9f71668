"""For every option of every command, command lines whose result the option changes.

A line is ``REST ; --OPTION VALUE``: the other options, which may be none, and the option. Both
follow the base of the command, with its text unless ``REST`` names one.
"""

from collections.abc import Sequence

BASES = {
    "": ("corpus list", ""),
    "train": (
        "train --hidden 6 --batch 2 --seq-len 8 --steps 4 --log-every 1 --eval-every 2",
        "t.txt",
    ),
    "sweep": (
        "sweep --try hidden=6 --batch 2 --seq-len 8 --steps 4 --log-every 1 --eval-every 2",
        "t.txt",
    ),
    "sample": ("sample", "one"),
    "predict": ("predict", "labels v.txt"),
    "eval": ("eval --run one", "t.txt"),
    "diagnose": ("diagnose --json --windows 2 --anchors 4 --targets 4 --lyapunov-steps 20", ""),
    "plot": ("plot", "one"),
    "view": ("view --length 900 one", "t.txt"),
    "info": ("info", ""),
    "runs": ("runs", ""),
    "export": ("export", "one"),
    "import": ("import", "m.safetensors"),
    "bench": ("bench --hidden 4 --seq-len 3", ""),
    "completion": ("completion", ""),
    "man": ("man", ""),
    "corpus list": ("corpus list", ""),
    "corpus make": ("corpus make --chars 500", ""),
    "corpus info": ("corpus info", ""),
    "corpus cache": ("corpus cache", ""),
}
"""The base and the text of each command."""

_MODEL = """; --cell gru
; --layers 2
; --hidden 7
; --embed 3
; --forget-bias 3
--cell rnn ; --activation relu
--cell gru ; --gru-reset before"""
_COMPUTING = """; --backend numpy
; --core numpy
; --threads 1"""
_READING = """l.txt ; --encoding latin-1
l.txt ; --errors replace
c.csv ; --column text
j.jsonl ; --field text
v.txt t.txt ; --join XY"""
_TRAINING = """--steps 2 n.txt ; --task classify
--task classify --no-bidirectional n.txt ; --hide-symbols 0.4
--task classify n.txt ; --no-bidirectional
--task transduce n.txt ; --no-bidirectional
--task classify n.txt ; --pool max
--task classify n.txt ; --ngrams 2
--task classify n.txt ; --counts 0.3
--task classify n.txt ; --writer 3
; --grams 50
--task tag g.txt ; --format lines
--task tag g.txt ; --columns 2,1
--task transduce n.txt ; --attention none
--task transduce src.txt ; --target dst.txt
--task transduce n.txt ; --target-level word
--task classify n.txt ; --max-length 3
--task classify --column text lc.csv ; --label-column label
--task classify --field text lj.jsonl ; --label-field label
; --init xavier
--embed 3 ; --embed-scale 0.1
; --dropout 0.4
; --recurrent-dropout 0.4
; --dtype float64
; --level word
; --min-count 30
; --val-frac 0.3
; --examples line
; --hold-out blocks
; --test-frac 0.2
; --val v.txt
; --test v.txt
; --seq-len 5
; --batch 3
; --state reset
; --restart 0.9
; --steps 3
; --epochs 0.1
; --minutes 0.0000001
; --optimizer sgd
--optimizer sgd ; --momentum 0.3
; --lr 0.5
; --schedule step
; --horizon 2
; --warmup 3
; --weight-decay 0.5
; --clip-norm 0.01
; --clip-value 0.001
; --seed 3
; --log-every 2
; --eval-every 1
--steps 20 --eval-every 1 --lr 2 ; --patience 1
--keep 9 ; --save-every 2
; --sample-every 2
--save-every 2 ; --keep 1
; --watch 2
; --eval-chars 8
--lr 1e30 ; --max-rollbacks 0
; --plan auto
; --sync-every 2
; --shard-files
; --outer-lr 1
; --outer-momentum 0"""
_OUTPUT = "; --json"
_GENERATOR = """markov ; --alphabet 5
markov ; --concentration 2
markov ; --order 1
copy-lag ; --flip 0.3
copy-lag ; --lag 3
dates ; --first-year 1900
dates ; --years 3
recall ; --distance 2
recall ; --more 2
reversal ; --letters 3
walks ; --end 0.3
walks ; --labels 2
reversal ; --longest 5
reversal ; --shortest 3
brackets ; --kinds 3
brackets ; --max-depth 2
brackets ; --open-prob 0.3"""


def _beside(given: str, lines: str) -> str:
    return "\n".join(f"{given} {line}" for line in lines.splitlines())


_LINES = {
    "": ["; --version"],
    "train": [
        _MODEL,
        _READING,
        _COMPUTING,
        _OUTPUT,
        _TRAINING,
        """; --name other
; --out elsewhere
; --init-from one
w.txt --steps 44 --lr 0.05 --watch 1 ; --resume one
; --quiet
; --dry-run
; --tensorboard board
; --matmul tf32""",
    ],
    "sweep": [
        _MODEL,
        _READING,
        _COMPUTING,
        _OUTPUT,
        _TRAINING,
        """; --try cell=gru
--trials 1 ; --search random
--try lr=0.01,0.02 ; --trials 1
; --total-minutes 0.0000001
--steps 40 --eval-every 4 --seed 5 --try lr=0.03,0.04,0.05,0.06,1e-7 ; --no-prune
--try lr=0.01,0.02 ; --keep-runs all
; --name other
; --out elsewhere
; --init-from one
; --matmul tf32""",
    ],
    "sample": [
        _COMPUTING,
        _OUTPUT,
        """; --temp 2
; --temperature 2
; --top-k 2
; --top-p 0.2
; --min-p 0.9
; --length 9
; --prime cat
; --prime-file p.txt
--prime cat ; --no-echo
; --until t
; --temp-end 3
; --repetition-penalty 3
--repetition-penalty 3 ; --repetition-window 1
; --no-repeat 2
--length 5 ; --beam 2
; --each-line
; --novel
; --novel-span 2
--novel-span 2 ; --novel-text v.txt
--novel-span 2 --novel-text c.csv ; --column text
--novel-span 2 --novel-text j.jsonl ; --field text
joined.txt --length 900 ; --until-join
; --count 2
kinds.txt ; --label dog
--prime X ; --unknown skip
; --seed 5
; --next 3
--prime-file l.txt ; --encoding latin-1
--prime-file l.txt ; --errors replace""",
    ],
    "predict": [
        _COMPUTING,
        _OUTPUT,
        """; -k 2
tags g.txt ; --format lines
tags g.txt --json ; --columns 2,1
pairs v.txt ; --beam 5
pairs v.txt ; --attention
pairs v.txt ; --plot maps.svg
labels l.txt ; --encoding latin-1
labels l.txt ; --errors replace
labels c.csv ; --column text
labels j.jsonl ; --field text""",
    ],
    "eval": [
        _READING,
        _COMPUTING,
        _OUTPUT,
        """; --run two
; --dynamic
--dynamic ; --dynamic-lr 2
--dynamic --dynamic-window 50 ; --dynamic-decay 0.9
--dynamic ; --dynamic-window 50
--run labels --column text lc.csv ; --label-column label
--run labels --field text lj.jsonl ; --label-field label
; --split val
--run tags g.txt ; --format lines
--run tags g.txt ; --columns 2,1
--run pairs n.txt ; --beam 3
--run labels n.txt ; --html page.html
--run labels n.txt ; --plot page.svg
--run tags g.txt ; --html page.html
--run tags g.txt ; --plot page.svg
--run pairs src.txt ; --target dst.txt
; --per-line
; --per-char
; --reset-every 5
--per-line ; --start newline
u.txt ; --unknown skip""",
    ],
    "diagnose": [
        _beside("--fresh --corpus t.txt --hidden 4", _MODEL),
        "; --backend numpy\n; --threads 2",
        """--fresh --hidden 4 --corpus n.txt ; --task classify
--fresh --hidden 4 --task classify --corpus n.txt ; --no-bidirectional
--fresh --hidden 4 --task classify --corpus n.txt ; --pool last
--fresh --hidden 4 --task classify --corpus n.txt ; --ngrams 2
--fresh --hidden 4 --task classify --corpus n.txt ; --counts 0.3
--fresh --hidden 4 --task classify --corpus n.txt ; --writer 3
--fresh --hidden 4 --task transduce --corpus n.txt ; --attention none
--fresh --hidden 4 --task classify --column text --corpus lc.csv ; --label-column label
--fresh --hidden 4 --task classify --field text --corpus lj.jsonl ; --label-field label
--fresh --hidden 4 --task transduce --corpus src.txt ; --target dst.txt
--fresh --hidden 4 --task transduce --corpus n.txt ; --target-level word""",
        *(_beside("--fresh --hidden 4 --corpus", line) for line in _READING.splitlines()[:2]),
        """--fresh --hidden 4 --corpus c.csv ; --column text
--fresh --hidden 4 --corpus j.jsonl ; --field text
--fresh --hidden 4 --corpus v.txt --corpus t.txt ; --join XY
--fresh --hidden 4 --corpus w.txt ; --level byte
--fresh --hidden 4 --corpus t.txt ; --init xavier
--fresh --hidden 4 --corpus t.txt ; --dtype float64
--compare rnn --hidden 4 --corpus t.txt ; --steps 3
; --fresh --hidden 4 --corpus t.txt
; --compare rnn --hidden 4 --steps 2 --corpus t.txt
; --history
; --corpus t.txt
--corpus u.txt ; --unknown skip
; --gradcheck
; --anchors 5
; --targets 6
; --windows 3
; --lyapunov-steps 30
; --exponents 2
; --max-lag 4
; --context 20
; --seed 4
; --seq-len 5
; --batch 3
; --state reset
; --optimizer sgd
--optimizer sgd ; --momentum 0.3
; --lr 0.5
; --clip-norm 0.01
--clip-norm 0.0001 ; --fail-on clip-tight
; --html page.html
; --plot page.svg
; --json""",
    ],
    "plot": ["; --x epochs\n; --out curves.svg\n; --html curves.html\n; --json"],
    "view": [
        _READING.replace("v.txt t.txt", "--field text j.jsonl"),
        _COMPUTING,
        _OUTPUT,
        "; --length 7\n; --unit 0:3\n; --units\n; --html page.html\nu.txt ; --unknown skip",
    ],
    "info": [_OUTPUT, "; --devices\n; --config"],
    "runs": [_OUTPUT],
    "bench": [
        _MODEL,
        _COMPUTING,
        _OUTPUT,
        "; --matmul tf32\n; --seq-len 5\n; --seconds 0.5",
        """; --task classify
--task transduce ; --no-bidirectional
--task classify ; --pool max
--task classify ; --ngrams 2
--task transduce ; --attention none""",
    ],
    "completion": [],
    "man": ["; --out pages"],
    "export": [
        "--out e.bin ; --to torch\n--to torch ; --out e.bin\n--to torch --out e.bin ; --json\n"
        "--to html --out e.html ; --bits 16"
    ],
    "import": [
        "; --vocabulary m.json\nr.safetensors --vocabulary m.json ; --activation relu",
        _beside("--vocabulary m.json", "; --name other\n; --out elsewhere\n; --json"),
    ],
    "corpus list": [_OUTPUT],
    "corpus make": [
        _GENERATOR,
        "hello ; --chars 7\nreber ; --seed 3\nreber ; --out made.txt\nreber --out t.txt ; --force",
    ],
    "corpus info": [
        _GENERATOR,
        _READING.replace("v.txt t.txt", "--field text j.jsonl"),
        "w.txt ; --level byte\nmarkov ; --seed 3\nreber ; --json",
    ],
    "corpus cache": [_OUTPUT, "; --clear"],
}


def lines() -> dict[str, list[str]]:
    """Return the lines of every command."""
    found = {}
    for command, parts in _LINES.items():
        common = ["; --plugin plug.py", *([] if command in ("", "info") else ["; --config c.toml"])]
        found[command] = [*"\n".join(parts).splitlines(), *common]
    return found


def split(command: str, line: str) -> tuple[list[str], list[str]]:
    """Return the words of a line without its option, and those of the option."""
    rest, _, option = line.partition(";")
    base, text = BASES[command]
    named = any(word.endswith((".txt", ".csv", ".jsonl", ".safetensors")) for word in rest.split())
    if "--task" in line:  # labelled texts are not read in windows
        base = (
            base.replace(" --seq-len 8", "")
            .replace(" --seq-len 3", "")
            .replace(" --lyapunov-steps 20", "")
        )
    if "transduce" in line:  # and what they use of a context is not measured
        base = base.replace(" --targets 4", "")
    if "--json" in option.split():
        base = base.replace(" --json", "")
    return [*base.split(), *([] if named else text.split()), *rest.split()], option.split()


def joined(command: str, rest: Sequence[str], option: Sequence[str]) -> list[str]:
    """Return a command line: an option of charrnn itself stands before the command."""
    return [*rest, *option] if command else [*option, *rest]
