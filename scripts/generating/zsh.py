"""Completion for zsh, in the words of its `_arguments`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from generating.commands import (
    ANYTHING,
    DIRECTORIES,
    FILES,
    PROGRAM,
    first_words,
    groups,
)

if TYPE_CHECKING:
    from generating.commands import Command, Option, Value

_OPENING = """\
#compdef auth tokenward
# Completion of auth for zsh; made by scripts/generate from the commands themselves.

"""
_MAIN = """\
_auth() {
  local curcontext=$curcontext state line ret=1
  local -A opt_args
  _arguments -C -s \\
OPTIONS
    '1: :_auth_words' '*:: :->arguments' && ret=0
  [[ $state == arguments ]] || return ret
  local function=_auth_${words[1]}
  if (( $+functions[$function] )); then
    curcontext=${curcontext%:*:*}:auth-${words[1]}:
    $function && ret=0
  fi
  return ret
}
"""
_GROUP = """\
_auth_GROUP() {
  local curcontext=$curcontext state line ret=1
  local -A opt_args
  _arguments -C -s \\
OPTIONS
    '1: :_auth_GROUP_words' '*:: :->arguments' && ret=0
  [[ $state == arguments ]] || return ret
  local function=_auth_GROUP_${words[1]}
  (( $+functions[$function] )) && $function && ret=0
  return ret
}
"""
_WORDS_OF = """\
_auth_NAME() {
  local -a words_of=(
WORDS
  )
  _describe -t commands command words_of
}
"""
_ACTIONS = {ANYTHING: " ", DIRECTORIES: "_directories", FILES: "_files"}


def completion(commands: list[Command]) -> str:
    """Return the whole file."""
    common = "\n".join(f"    {_line(spec)}" for o in commands[0].common for spec in _specs(o))
    parts = [_words("words", first_words(commands))]
    for group, words in groups(commands).items():
        parts.append(_words(f"{group}_words", words))
        parts.append(_GROUP.replace("GROUP", group).replace("OPTIONS", common))
    parts += [_function(command) for command in commands]
    parts.append(_MAIN.replace("OPTIONS", common))
    return _OPENING + "\n".join(parts) + '\n_auth "$@"\n'


def _function(command: Command) -> str:
    specs = [spec for option in command.options for spec in _specs(option)]
    if command.argument:
        specs += _argument_specs(command)
    lines = [f"    {_line(spec)}" for spec in specs]
    lines[-1] = lines[-1].removesuffix(" \\")
    name = command.name.replace(" ", "_")
    return "\n".join([f"_auth_{name}() {{", "  _arguments -s -S \\", *lines, "}", ""])


def _specs(option: Option) -> list[str]:
    """Return what `_arguments` is told of an option: one word for each spelling."""
    if option.repeats:
        before = "*"
    else:
        before = f"({' '.join(option.flags)})" if len(option.flags) > 1 else ""
    made = []
    for flag in option.flags:
        joined = ""
        after = ""
        if option.value:
            joined = "=" if flag.startswith("--") else "+"
            after = f":{option.value.name}:{_action(option.value)}"
        made.append(f"{before}{flag}{joined}[{_escaped(option.help, '[]')}]{after}")
    return made


def _argument_specs(command: Command) -> list[str]:
    assert command.argument is not None
    value = command.argument.value
    if value.kind == PROGRAM:
        return ["(-)1:program:_command_names -e", "*::argument:_normal"]
    optional = ":" if f"[{value.name}]" in command.usage else ""
    before = "*:" if command.argument.repeats else f"1:{optional}"
    return [f"{before}{value.name}:{_action(value)}"]


def _action(value: Value) -> str:
    return f"({' '.join(value.words)})" if value.words else _ACTIONS[value.kind]


def _words(name: str, words: dict[str, str]) -> str:
    lines = [f"    {_quoted(f'{word}:{summary}')}" for word, summary in words.items()]
    return _WORDS_OF.replace("NAME", name).replace("WORDS\n", "\n".join(lines) + "\n")


def _line(spec: str) -> str:
    return f"{_quoted(spec)} \\"


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _escaped(text: str, characters: str) -> str:
    for character in characters:
        text = text.replace(character, f"\\{character}")
    return text
