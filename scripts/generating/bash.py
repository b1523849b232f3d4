"""Completion for bash, 3.2 (macOS) and later, with and without the bash-completion package.

bash takes words apart at `=` and `:`, and URLs with them, so the line is divided here again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from generating.commands import (
    ANYTHING,
    DIRECTORIES,
    FILES,
    PROGRAM,
    WORDS,
    first_words,
    groups,
    values_by_flag,
)
from tokenward import cli

if TYPE_CHECKING:
    from generating.commands import Command, Value

ALIAS = """\
# tokenward is auth by another name.
. "${BASH_SOURCE[0]%/*}/auth"
"""

_OPENING = """\
# Completion of auth for bash; made by scripts/generate from the commands themselves.

# The program that `auth exec` runs, $1, and what follows it is completed as by itself.
_auth_program() {
    local at first=2
    for ((at = 2; at < COMP_CWORD; at++)); do
        [[ ${COMP_WORDS[at]} == -- ]] && first=$((at + 1)) && break
    done
    for ((at = first; at < COMP_CWORD; at++)); do
        [[ ${COMP_WORDS[at]} == "$1" ]] && break
    done
    if declare -F _command_offset >/dev/null; then
        _command_offset "$at"
    else
        compopt -o default 2>/dev/null
    fi
}

_auth() {
    local line=${COMP_LINE:0:COMP_POINT} word=$2 at option= ended= command= options= values= used=1
    local -a words plain
    plain=()
    COMPREPLY=()
    compopt +o default 2>/dev/null
    read -ra words <<<"$line"
    [[ $line == *[[:blank:]] ]] && words+=("")
    local last=$((${#words[@]} - 1))
    for ((at = 1; at < last; at++)); do
        if [[ -n $option ]]; then
            option=
        elif [[ -n $ended || ${words[at]} != -?* ]]; then
            plain+=("${words[at]}")
            if [[ ${plain[0]} == exec && ${#plain[@]} -eq 2 ]]; then
                _auth_program "${words[at]}"
                return
            fi
        elif [[ ${words[at]} == -- ]]; then
            ended=1
        else
            case ${words[at]} in
"""
_MIDDLE = """\
            esac
        fi
    done
    local prefix=
    if [[ -z $option$ended && ${words[last]} == --*=* ]]; then
        option=${words[last]%%=*}
        word=${words[last]#*=}
        [[ $COMP_WORDBREAKS == *=* ]] || prefix=$option=
    fi
    case $option in
        "") ;;
"""
_COMMANDS = """\
        *) return ;;
    esac
    if [[ -n $option ]]; then
        COMPREPLY=($(compgen -P "$prefix" -W "$values" -- "$word"))
        return
    fi
    command=${plain[0]-}
    case "$command ${plain[1]-}" in
"""
_CLOSING = """\
    esac
    if [[ -z $ended && ${words[last]} == -* ]]; then
        COMPREPLY=($(compgen -W "$options" -- "$word"))
        return
    fi
    case $values in
        FILES) compopt -o default 2>/dev/null ;;
        DIRECTORIES) compopt -o dirnames 2>/dev/null ;;
        PROGRAM) COMPREPLY=($(compgen -A command -- "$word")) ;;
        *) COMPREPLY=($(compgen -W "$values" -- "$word")) ;;
    esac
}

complete -o default -F _auth auth tokenward
"""
_PATHS = {FILES: "FILES", DIRECTORIES: "DIRECTORIES", PROGRAM: "PROGRAM", ANYTHING: ""}


def completion(commands: list[Command]) -> str:
    """Return the whole script."""
    by_flag = values_by_flag(commands)
    firsts, seconds = first_words(commands), groups(commands)
    pairs = " | ".join(f'"{c.name}"' for c in commands if " " in c.name)
    lines = [f"                {' | '.join(sorted(by_flag))}) option=${{words[at]}} ;;"]
    lines += [_MIDDLE.rstrip("\n")]
    for flags, value in _by_value(by_flag).items():
        lines.append(f"        {' | '.join(flags)}) {_offering(value)} ;;")
    lines += [_COMMANDS.rstrip("\n")]
    lines += [f'        {pairs}) command="${{plain[0]}} ${{plain[1]}}" used=2 ;;', "    esac"]
    common = " ".join(flag for option in commands[0].common for flag in option.flags)
    lines += [f'    local common="{common}"', "    options=$common", "    case $command in"]
    lines += [f'        "") values="{" ".join(firsts)}" ;;']
    lines += [f'        {group}) values="{" ".join(words)}" ;;' for group, words in seconds.items()]
    lines += [line for command in commands for line in _case(command)]
    return _OPENING + "\n".join(lines) + "\n" + _CLOSING


def _case(command: Command) -> list[str]:
    """Return what sets apart one command, nothing for one that has nothing of its own."""
    lines = []
    common = "$common"
    if command.name in cli.WITHOUT_FORMAT:
        common = " ".join(flag for option in command.common for flag in option.flags)
    if command.own:
        own = " ".join(flag for option in command.own for flag in option.flags)
        lines.append(f'            options="{own} {common}"')
    if command.argument:
        once = "" if command.argument.repeats else "((${#plain[@]} > used)) || "
        lines.append(f'            {once}values="{_words(command.argument.value)}"')
    return [f'        "{command.name}")', *lines, "            ;;"] if lines else []


def _by_value(by_flag: dict[str, Value]) -> dict[tuple[str, ...], Value]:
    """Return the values that can be offered, by all of the options that take each."""
    kinds: dict[tuple[int, tuple[str, ...]], list[str]] = {}
    for flag, value in sorted(by_flag.items()):
        if value.kind != ANYTHING:
            kinds.setdefault(value[1:], []).append(flag)
    return {tuple(flags): by_flag[flags[0]] for flags in kinds.values()}


def _offering(value: Value) -> str:
    if value.kind == WORDS:
        return f'values="{" ".join(value.words)}"'
    return "compopt -o default 2>/dev/null; return"


def _words(value: Value) -> str:
    return " ".join(value.words) or _PATHS[value.kind]
