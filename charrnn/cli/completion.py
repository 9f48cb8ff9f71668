"""``charrnn completion``: scripts that have a shell complete what is typed."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from charrnn.cli.process.output import write_text

BASH = """\
# charrnn in bash: eval "$(charrnn completion bash)"
_charrnn() {
    local line word rest=$COMP_LINE n=-1 program="${1/#\\~\\//$HOME/}"
    local -a words=()
    # bash divides words at colons: put together what no blank divides
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        if [[ $n -gt 0 && $rest != [[:blank:]]* && ($word == :* || ${words[n]} == *:) ]]; then
            words[n]+=$word
        else
            words[++n]=$word
        fi
        rest=${rest#"${rest%%[![:blank:]]*}"}
        rest=${rest#"$word"}
    done
    local cur=${words[n]} kept=
    [[ $cur == *:* && $COMP_WORDBREAKS == *:* ]] && kept=${cur%"${cur##*:}"}
    COMPREPLY=()
    [[ $cur == = ]] && cur=
    while IFS= read -r line; do
        case $line in
            :files | :folders)
                compopt -o filenames 2>/dev/null
                local action=-f
                [[ $line == :folders ]] && action=-d
                while IFS= read -r line; do
                    [[ -n $kept && -d $line ]] && line+=/ && compopt -o nospace 2>/dev/null
                    COMPREPLY+=("${line#"$kept"}")
                done < <(compgen $action -- "$cur")
                ;;
            *) line=${line%%$'\\t'*}; COMPREPLY+=("${line#"$kept"}") ;;
        esac
    done < <("$program" completion bash -- "${words[@]:1:n}" 2>/dev/null)
}
complete -F _charrnn charrnn
"""
ZSH = """\
#compdef charrnn
# charrnn in zsh, after compinit: eval "$(charrnn completion zsh)"
_charrnn() {
    local line name
    local -a found paths program
    program=(${~words[1]})
    for line in "${(@f)$($program completion zsh -- "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        case $line in
            :files) paths=(_files) ;;
            :folders) paths=(_files -/) ;;
            *$'\\t'*) name=${line%%$'\\t'*}; found+=("${name//:/\\\\:}:${line#*$'\\t'}") ;;
            ?*) found+=("${line//:/\\\\:}") ;;
        esac
    done
    (( $#found )) && _describe charrnn found
    if (( $#paths )); then
        compset -P '--*='
        $paths
    fi
}
if [[ $funcstack[1] == _charrnn ]]; then
    _charrnn "$@"
else
    compdef _charrnn charrnn
fi
"""
FISH = """\
# charrnn in fish: charrnn completion fish | source
function __charrnn_paths
    if string match -q '*:*' -- $argv[1]  # at which fish itself begins a path
        __fish_complete_path $argv[1]
    else
        complete -C "charrnn-files $argv[1]"
    end
end
function __charrnn_candidates
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program (string replace -r '^~' $HOME -- $words[1])
    set -l option (string match -r -- '^--[^=]*=' "$current")
    set -l path (string replace -r -- '^--[^=]*=' '' "$current")
    set -e words[1]
    for line in ($program completion fish -- $words "$current" 2>/dev/null)
        switch $line
            case :files
                __charrnn_paths "$path" | string replace -r '^' -- "$option"
            case :folders
                __charrnn_paths "$path" | string match -r '^[^\\t]*/(?=\\t|$)' \\
                    | string replace -r '^' -- "$option"
            case '*'
                echo $line
        end
    end
end
complete -c charrnn -f -a '(__charrnn_candidates)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def completion(
    context: typer.Context,
    shell: Annotated[
        Literal["bash", "zsh", "fish"],
        typer.Argument(metavar="SHELL", help="bash, zsh or fish.", show_default=False),
    ],
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[-- WORD...]",
            help="What is typed after charrnn so far: print what may follow instead.",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Print a script that has a shell complete commands, options, values, runs and corpora.

    To switch it on for good, put one line into the file that the shell reads when it starts. In
    ~/.bashrc: eval "$(charrnn completion bash)". In ~/.zshrc, after compinit:
    eval "$(charrnn completion zsh)". In ~/.config/fish/config.fish: charrnn completion fish |
    source.
    """
    if words is None:
        write_text(SCRIPTS[shell])
        return
    from charrnn.cli.parsing.candidates import lines
    from charrnn.cli.parsing.described import described

    write_text(lines(described(context.find_root().command), words))
