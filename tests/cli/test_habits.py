"""Options under the names of other programs: what they are here, in a command that works."""

import shlex

import pytest
from helpers.command_tree import commands
from helpers.commands import inside, known_options

from charrnn.cli.app import _FUNCTIONS, _GROUPS
from charrnn.cli.parsing import habits
from charrnn.exchange import synonyms

READ = {
    "sample --run x --temp 0.5": "the run is an argument: charrnn sample x --temp 0.5",
    "sample --checkpoint cv/x -length 9": "the run is an argument: charrnn sample cv/x --length 9",
    "sample --run": "the run is an argument: charrnn sample RUN",
    "sample x --prompt 'a b' --max-new-tokens=5": (
        "here it is --prime: charrnn sample x --prime 'a b' --length 5"
    ),
    "sample --model x --out g.txt": "the run is an argument: charrnn sample x > g.txt",
    "view --run x --text 'a b'": "the run is an argument: charrnn view x 'a b'",
    "predict --input f.txt --model x": "the text is an argument: charrnn predict x f.txt",
    "eval a --model x": "here it is --run: charrnn eval a --run x",
    "eval - --checkpoint x --start none": "here it is --run: charrnn eval - --run x --start none",
    "diagnose --file a": "here it is --corpus: charrnn diagnose --corpus a",
    "export --run x --output g.html": "the run is an argument: charrnn export x --out g.html",
    "import --model m.pt --vocab v": "the file is an argument: charrnn import m.pt --vocabulary v",
    "info --run x": "the run is an argument: charrnn info x",
    "plot --run x --run y": "the run is an argument: charrnn plot x y",
    "runs --name x": "the run is an argument: charrnn runs x",
    "train --input 'a b' --rnn_size 5 --model LSTM --gpu 0": (
        "the text is an argument: charrnn train 'a b' --hidden 5 --cell lstm --backend cupy"
    ),
    "train -data_dir d -num_layers 2 -gpuid -1 -seq_length 9": (
        "the text is an argument: charrnn train d --layers 2 --backend numpy --seq-len 9"
    ),
    "train a --gpu --epoch=3": "here it is --backend: charrnn train a --backend cupy --epochs 3",
    "train a --iters 5 --batch_size 2": "here it is --steps: charrnn train a --steps 5 --batch 2",
    "train a --checkpoint x": "here it is --resume: charrnn train a --resume x",
    "train a --learning_rate=-3": "here it is --lr: charrnn train a --lr -3",
    "train a --clip 5": "here it is --clip-norm: charrnn train a --clip-norm 5",
    "train a -grad_clip 5": "here it is --clip-value: charrnn train a --clip-value 5",
    "train a --word_level": "here it is --level: charrnn train a --level word",
    "train a --bi true": "here it is --bidirectional: charrnn train a --bidirectional",
    "train a -hidden 5": "here it is --hidden: charrnn train a --hidden 5",
    "sweep a --max_epochs 3": "here it is --epochs: charrnn sweep a --epochs 3",
    "bench --hidden_size 5 --epochs 3": "here it is --hidden; see charrnn bench --help",
    "train a --num-layers 3 --funny 1": "here it is --layers; see charrnn train --help",
    "train a --temperature 1": "charrnn sample has it; see charrnn train --help",
    "sample x --iters 4": "charrnn train has --steps; see charrnn sample --help",
}


@pytest.mark.parametrize("line", READ)
def test_it_is_said_what_they_are_here(line, home):
    done = inside(*shlex.split(line))
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith("charrnn: error: No such option: -")
    assert done.stderr.partition("; ")[2] == READ[line] + "\n"


def test_the_command_that_is_shown_works(home, cache_folder):
    (home / "a b.txt").write_text("hello you " * 40)
    for line in (
        "train -input 'a b.txt' -rnn_size 4 --model gru --gpu -1 --iters 2 --savefile x -bptt 5",
        "sample --checkpoint x --sampling 3 -temp 0.5",
        "sample --checkpoint x --num-chars 3",
        "eval 'a b.txt' --model x",
        "view --model x --text hello",
    ):
        done = inside(*shlex.split(line))
        assert done.returncode == 2
        shown = done.stderr.strip().rpartition(": charrnn ")[2]
        if "--sampling" in line:  # which means nothing
            assert shown.endswith("see charrnn sample --help")
            continue
        again = inside(*shlex.split(shown))
        assert again.returncode == 0, (shown, again.stderr)


def test_commands_under_other_names():
    done = inside("generate", "x")
    assert done.returncode == 2
    assert done.stderr == "charrnn: error: No such command: generate; it is charrnn sample\n"
    assert "Did you mean 'eval'?" in inside("evl").stderr
    ours = {*_FUNCTIONS, *_GROUPS}
    assert habits._COMMANDS.keys() <= ours
    assert not {name for names in habits._COMMANDS.values() for name in names.split()} & ours


def test_the_table_holds_only_what_can_be_meant():
    known = known_options()
    for ours, names in synonyms.MEANT.items():
        assert len(set(names.split())) == len(names.split()), ours
        if ours in (*synonyms.ARGUMENTS, synonyms.OUTPUT):
            continue
        has = {command for command, found in known.items() if f"--{ours}" in found}
        assert has, ours
        for name in names.split():
            assert any(f"--{name}" not in known[command] for command in has), (ours, name)
    arguments = {param.name for one in commands().values() for param in one.params}
    for names in synonyms.ARGUMENTS.values():
        assert set(names) <= arguments


def test_an_option_without_its_value_names_the_help_of_its_command():
    assert inside("sample", "x", "--until").stderr.endswith("; see charrnn sample --help\n")
