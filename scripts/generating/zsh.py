"""Completion for zsh, in the words of its `_arguments`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generating.commands import ANYTHING, DIRECTORIES, FILES, PROGRAM, groups
from tokenward import cli

if TYPE_CHECKING:
    from generating.commands import Argument, Command

_OPENING = """\
#compdef auth tokenward
# Completion of auth for zsh; made by scripts/generate from the commands themselves.

"""
_ENDING = """
if [[ $funcstack[1] == _auth ]]; then
  _auth "$@"
else  # it was sourced
  compdef _auth auth tokenward
fi
"""
_GROUP = """\
GROUP() {
  local curcontext=$curcontext state line ret=1
  local -A opt_args
  local -a next=(
WORDS
  )
COMMON  _arguments -C -s $common '1: :->command' '*:: :->arguments' && ret=0
  case $state in
    command) _describe -t commands command next && ret=0 ;;
    arguments)
      local function=GROUP_${words[1]}
      curcontext=${curcontext%:*:*}:${${function#_}//_/-}:
      (( $+functions[$function] )) && $function && ret=0
      ;;
  esac
  return ret
}
"""
_COMMON = """\
  local -a common=(
OPTIONS
  )
"""
_ACTIONS = {ANYTHING: " ", DIRECTORIES: "_directories", FILES: "_files"}


def completion(commands: list[Command]) -> str:
    """Return the whole file."""
    common = _COMMON.replace("OPTIONS", "\n".join(_options(commands[0].common)))
    parts = []
    for group, words in groups(commands).items():
        lines = "\n".join(_line(f"{word}:{summary}") for word, summary in words.items())
        made = _GROUP.replace("GROUP", f"_auth_{group}" if group else "_auth")
        parts.append(made.replace("WORDS", lines).replace("COMMON", "" if group else common))
    parts += map(_function, commands)
    return _OPENING + "\n".join(parts) + _ENDING


def _function(command: Command) -> str:
    common = "${common:#--format=*}" if command.name in cli.WITHOUT_FORMAT else "$common"
    specs = [*_options(command.own), *map(_line, _argument_specs(command))]
    called = " \\\n".join([f"  _arguments -s -S {common}", *specs])
    return f"_auth_{command.name.replace(' ', '_')}() {{\n{called}\n}}\n"


def _options(options: tuple[Argument, ...]) -> list[str]:
    return [_line(spec) for option in options for spec in _specs(option)]


def _specs(option: Argument) -> list[str]:
    """Return what `_arguments` is told of an option: one word for each spelling."""
    before = f"({' '.join(option.flags)})" if len(option.flags) > 1 else ""
    made = []
    for flag in option.flags:
        joined = after = ""
        if option.value:
            joined = "=" if flag.startswith("--") else "+"
            after = f":{option.value}:{_action(option)}"
        shown = option.help.replace("[", "\\[").replace("]", "\\]")
        made.append(f"{'*' if option.repeats else before}{flag}{joined}[{shown}]{after}")
    return made


def _argument_specs(command: Command) -> list[str]:
    argument = command.argument
    if argument is None:
        return []
    if argument.offered == PROGRAM:
        return ["(-)1:program:_command_names -e", "*::argument:_normal"]
    optional = ":" if f"[{argument.value}]" in command.usage else ""
    before = "*:" if argument.repeats else f"1:{optional}"
    action = "()" if argument.offered == ANYTHING else _action(argument)  # a blank ends the options
    return [f"{before}{argument.value}:{action}"]


def _action(argument: Argument) -> str:
    return _ACTIONS.get(argument.offered, f"({argument.offered})")


def _line(text: str) -> str:
    return "    '" + text.replace("'", "'\\''") + "'"
