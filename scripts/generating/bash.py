"""Completion for bash, 3.2 (macOS) and later, with and without the bash-completion package.

bash takes words apart at `=` and `:`, and URLs with them, so the line is divided here again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from generating.commands import ANYTHING, groups, offered_by_flag

if TYPE_CHECKING:
    from generating.commands import Argument, Command

ALIAS = """\
# tokenward is auth by another name.
. "${BASH_SOURCE[0]%/*}/auth"
"""

_SCRIPT = """\
# Completion of auth for bash; made by scripts/generate from the commands themselves.

# Sets `values` to what may be the value of the option $1, and fails if it takes none.
_auth_value() {
    case $1 in
VALUES
        *) return 1 ;;
    esac
}

# Sets `options` and `values` to what may stand behind the words $1, each with a blank behind it.
# Spellings of one option are joined by a stroke; a plus marks an option that may be repeated.
_auth_words() {
    local common="COMMON"
    options=$common values=
    case $1 in
COMMANDS
    esac
}

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
    local line=${COMP_LINE:0:COMP_POINT} word=$2 at flag option= ended= plain= prefix= seen=" "
    local options values
    local -a words
    COMPREPLY=()
    compopt +o default 2>/dev/null
    read -ra words <<<"$line"
    [[ $line == *[[:blank:]] ]] && words+=("")
    local last=$((${#words[@]} - 1))
    for ((at = 1; at < last; at++)); do
        if [[ -n $option ]]; then
            option=
        elif [[ -n $ended || ${words[at]} != -?* ]]; then
            if [[ $plain == "exec " ]]; then
                _auth_program "${words[at]}"
                return
            fi
            plain+="${words[at]} "
        elif [[ ${words[at]} == -- ]]; then
            ended=1
        else
            seen+="${words[at]%%=*} "
            _auth_value "${words[at]}" && option=${words[at]}
        fi
    done
    if [[ -z $option$ended && ${words[last]} == --*=* ]]; then
        option=${words[last]%%=*}
        word=${words[last]#*=}
        [[ $COMP_WORDBREAKS == *=* ]] || prefix=$option=
    fi
    if [[ -n $option ]]; then
        _auth_value "$option" || return
    else
        _auth_words "$plain"
        if [[ -z $ended && ${words[last]} == -* ]]; then
            values=
            for option in $options; do
                for flag in ${option//\\// }; do
                    [[ $seen == *" $flag "* ]] && continue 2
                done
                values+=" ${option//[\\/+]/ }"
            done
        fi
    fi
    case $values in
        FILES) compopt -o default 2>/dev/null ;;
        DIRECTORIES) compopt -o dirnames 2>/dev/null ;;
        PROGRAM) COMPREPLY=($(compgen -A command -- "$word")) ;;
        *) COMPREPLY=($(compgen -P "$prefix" -W "$values" -- "$word")) ;;
    esac
}

complete -o default -F _auth auth tokenward
"""


def completion(commands: list[Command]) -> str:
    """Return the whole script."""
    flags: dict[str, list[str]] = {}
    for flag, offered in offered_by_flag(commands).items():
        flags.setdefault(offered, []).append(flag)
    values = [f'        {" | ".join(f)}) values="{offered}" ;;' for offered, f in flags.items()]
    words = [
        f'        "{group} ") values="{" ".join(seconds)}" ;;'.replace('" ")', '"")')
        for group, seconds in groups(commands).items()
    ]
    common = commands[0].common
    words += [_case(command, common) for command in commands if command.own or command.argument]
    return (
        _SCRIPT.replace("VALUES", "\n".join(values))
        .replace("COMMANDS", "\n".join(words))
        .replace("COMMON", _options(common))
    )


def _case(command: Command, common: tuple[Argument, ...]) -> str:
    shared = "$common" if command.common == common else _options(command.common)
    lines = [f'        "{command.name} "*)']
    lines.append(f'            options="{_options(command.own)} {shared}"'.replace('" ', '"'))
    if command.argument and command.argument.offered != ANYTHING:
        once = "" if command.argument.repeats else f'[[ $1 == "{command.name} " ]] && '
        lines.append(f'            {once}values="{command.argument.offered}"')
    return "\n".join([*lines, "            ;;"])


def _options(options: tuple[Argument, ...]) -> str:
    return " ".join("/".join(option.flags) + "+" * option.repeats for option in options)
