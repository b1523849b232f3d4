"""Completion for fish, 3.0 and later."""

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

if TYPE_CHECKING:
    from generating.commands import Command, Option, Value

ALIAS = "# tokenward is auth by another name.\ncomplete -c tokenward -w auth\n"

_OPENING = """\
# Completion of auth for fish; made by scripts/generate from the commands themselves.

# Prints the command on the line so far and how many arguments it has; `program` and the words from
# there on, where they are those of the program that `auth exec` runs.
function __auth_command
    set -l plain
    set -l ended no
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        if test $ended = no; and string match -qr -- '^-.' $words[1]
            switch $words[1]
                case --
                    set ended yes
                case FLAGS
                    set -e words[1]
            end
        else if test "$plain[1]" = exec
            printf '%s\\n' program $words
            return
        else
            set -a plain $words[1]
        end
        set -e words[1]
    end
    if contains -- "$plain[1]" GROUPS; and set -q plain[2]
        set plain "$plain[1] $plain[2]" $plain[3..-1]
    end
    printf '%s\\n' "$plain[1]" (count $plain[2..-1])
end

# Tells whether this is the command, and with a second word whether it has no argument yet.
function __auth_is
    set -l found (__auth_command)
    test "$found[1]" = "$argv[1]"; and test -z "$argv[2]" -o "$found[2]" = 0
end

function __auth_program
    set -l found (__auth_command)
    __fish_complete_subcommand --commandline $found[2..-1] (commandline -ct)
end

complete -c auth -f
"""


def completion(commands: list[Command]) -> str:
    """Return the whole file."""
    flags = sorted(values_by_flag(commands))
    seconds = groups(commands)
    opening = _OPENING.replace("FLAGS", " ".join(flags)).replace("GROUPS", " ".join(seconds))
    lines = []
    for group, words in {"": first_words(commands), **seconds}.items():
        lines += [_word(group, word, summary) for word, summary in words.items()]
    for option in commands[0].common:
        lines.append(f"complete -c auth -n 'not __auth_is program' {_option(option)}")
    lines.append("complete -c auth -n '__auth_is program' -x -a '(__auth_program)'")
    for command in commands:
        where = f'__auth_is "{command.name}"'
        lines += [f"complete -c auth -n '{where}' {_option(option)}" for option in command.own]
        if command.argument:
            once = "" if command.argument.repeats else " once"
            lines.append(f"complete -c auth -n '{where}{once}' {_offered(command.argument.value)}")
    return opening + "\n".join(lines) + "\n"


def _word(group: str, word: str, summary: str) -> str:
    return f"complete -c auth -n '__auth_is \"{group}\"' -a {word} -d {_quoted(summary)}"


def _option(option: Option) -> str:
    parts = [f"-l {f[2:]}" if f.startswith("--") else f"-s {f[1:]}" for f in option.flags]
    if option.value:
        parts.append("-x" if option.value.kind in {ANYTHING, WORDS} else "-r")
        parts.append(_offered(option.value))
    return " ".join(part for part in (*parts, "-d", _quoted(option.help)) if part)


def _offered(value: Value) -> str:
    return {
        ANYTHING: "",
        WORDS: f"-a {_quoted(' '.join(value.words))}",
        FILES: "-F",
        DIRECTORIES: "-a '(__fish_complete_directories)'",
        PROGRAM: "-a '(__fish_complete_command)'",
    }[value.kind]


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
