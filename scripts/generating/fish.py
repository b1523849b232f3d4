"""Completion for fish, 3.0 and later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generating.commands import ANYTHING, DIRECTORIES, FILES, PROGRAM, groups, offered_by_flag

if TYPE_CHECKING:
    from generating.commands import Argument, Command

ALIAS = "# tokenward is auth by another name.\ncomplete -c tokenward -w auth\n"

_OPENING = """\
# Completion of auth for fish; made by scripts/generate from the commands themselves.

# Prints the command on the line so far, and of what follows it each flag, and `argument` for all
# else; or `program` and the words from there on that are those of the program `auth exec` runs.
function __auth_line
    set -l plain
    set -l flags
    set -l ended no
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        if test $ended = no; and string match -qr -- '^-.' $words[1]
            switch $words[1]
                case --
                    set ended yes
                case FLAGS
                    set -q words[2]; or break # its value is what is typed
                    set -a flags $words[1]
                    set -e words[1]
                case '*'
                    set -a flags (string replace -r -- '=.*' '' $words[1])
            end
        else if test "$plain[1]" = exec
            printf '%s\\n' program $words
            return
        else if contains -- "$plain" GROUPS
            set plain "$plain $words[1]"
        else if set -q plain[1]
            set -a flags argument
        else
            set plain $words[1]
        end
        set -e words[1]
    end
    printf '%s\\n' "$plain" $flags
end

# Tells whether this is the command.
function __auth_is
    set -l found (__auth_line)
    test "$found[1]" = "$argv[1]"
end

# Tells whether the line has none of these: commands, flags, `argument`, `program`.
function __auth_lacks
    set -l found (__auth_line)
    for word in $argv
        contains -- $word $found; and return 1
    end
    return 0
end

function __auth_program
    set -l found (__auth_line)
    __fish_complete_subcommand --commandline $found[2..-1] (commandline -ct)
end

complete -c auth -f
complete -c auth -n '__auth_is program' -x -a '(__auth_program)'
"""
_ACTIONS = {
    ANYTHING: "",
    FILES: "-F",
    DIRECTORIES: "-a '(__fish_complete_directories)'",
    PROGRAM: "-a '(__fish_complete_command)'",
}


def completion(commands: list[Command]) -> str:
    """Return the whole file."""
    found = groups(commands)
    flags, names = " ".join(offered_by_flag(commands)), " ".join(filter(None, found))
    lines = [
        f"complete -c auth -n '__auth_is \"{group}\"' -a {word} -d {_quoted(summary)}"
        for group, words in found.items()
        for word, summary in words.items()
    ]
    for option in commands[0].common:
        without = (command.name for command in commands if option not in command.common)
        lines.append(_option(option, _lacks("program", *without, *option.flags)))
    for command in commands:
        where = f'__auth_is "{command.name}"'
        for option in command.own:
            once = "" if option.repeats else f"; and {_lacks(*option.flags)}"
            lines.append(_option(option, where + once))
        if command.argument:
            once = "" if command.argument.repeats else f"; and {_lacks('argument')}"
            lines.append(f"complete -c auth -n '{where}{once}' {_offered(command.argument)}")
    return _OPENING.replace("FLAGS", flags).replace("GROUPS", names) + "\n".join(lines) + "\n"


def _lacks(*words: str) -> str:
    return f"__auth_lacks {' '.join(words)}"


def _option(option: Argument, where: str) -> str:
    parts = [f"complete -c auth -n '{where}'"]
    parts += [f"-l {f[2:]}" if f.startswith("--") else f"-s {f[1:]}" for f in option.flags]
    if option.value:
        parts += ["-r" if option.offered in {FILES, DIRECTORIES} else "-x", _offered(option)]
    return " ".join(filter(None, [*parts, "-d", _quoted(option.help)]))


def _offered(argument: Argument) -> str:
    return _ACTIONS.get(argument.offered, f"-a {_quoted(argument.offered)}")


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
