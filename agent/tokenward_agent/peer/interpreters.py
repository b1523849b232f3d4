"""What an interpreter runs, by its command line: a file, a module, or a program text.

A table for each language has its options: those without a value, those whose value may be the next
word, and those that run a text. Refuses to guess: behind an option that is not in the table the
script cannot be told from the options, so the answer is UNKNOWN. Some options are left out for that
reason: Ruby's `-C` and Perl's `-x` set the folder of the script, `-S` looks the script up on PATH,
and Node's `--test` runs files by their names.

A text comes from the command line (`python -c`, `bash -ec`), from standard input (`bash -s`,
`python -`, no script at all), or through a descriptor (`python <(...)`, which is /dev/fd/63; only
the caller with the whole path can tell that). It has no name, and differs from run to run.

Sources: Python's Python/getopt.c and Python/initconfig.c; bash's shell.c; dash's options.c; zsh's
init.c; perlrun(1); ruby(1); node's doc/api/cli.md. Pure.
"""

from __future__ import annotations

import os
import re
from typing import Final, NamedTuple

SCRIPT: Final = "script"
MODULE: Final = "module"
TEXT: Final = "text"
UNKNOWN: Final = "unknown"


class Run(NamedTuple):
    """What runs: `word` names it ("" for TEXT, UNKNOWN); its arguments begin at `behind`."""

    what: str
    word: str
    behind: int


class _Options(NamedTuple):
    """The options of a language: letters, which may be combined in a word, and long names.

    `flags` have no value; the value of `valued` is the rest of the word or the next word, that of
    `attached` only the rest of the word. `text` and `module` say what runs. A long name in `longs`
    has no value except behind `=`; one in `long_valued` has it there or in the next word.
    """

    flags: str
    valued: str
    attached: str
    text: str
    module: str = ""
    longs: frozenset[str] = frozenset()
    long_valued: frozenset[str] = frozenset()
    long_text: frozenset[str] = frozenset()
    reserved: frozenset[str] = frozenset()  # words in the place of the script that name no file


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PYTHON: Final = _Options(
    "bBdEhiIOPqRsStuvVx?",
    "WX",
    "",
    "c",
    "m",
    _names("--help --help-all --help-env --help-xoptions --version"),
    _names("--check-hash-based-pycs"),
)
_GETOPT: Final = {
    "python": _PYTHON,
    "pypy": _PYTHON._replace(
        longs=_PYTHON.longs | {"--info"}, long_valued=_PYTHON.long_valued | {"--jit"}
    ),
    "perl": _Options("acdfghlnpstTuUvVwWX0123456789", "I", "FimM:", "eE"),
    "ruby": _Options(
        "acdhlnpsuvwyU0123456789",
        "IrE",
        "FKTWi",
        "e",
        longs=_names(
            "--copyright --debug --disable-all --disable-gems --enable-all --help --jit"
            " --verbose --version --yjit"
        ),
        long_valued=_names("--disable --enable --encoding --external-encoding --internal-encoding"),
    ),
    "node": _Options(
        "chiv",
        "rC",
        "",
        "ep",
        longs=_names(
            "--abort-on-uncaught-exception --check --enable-source-maps"
            " --experimental-strip-types --experimental-vm-modules"
            " --experimental-wasm-modules --expose-gc --force-fips --heapsnapshot-signal --help"
            " --inspect --inspect-brk --inspect-port --inspect-wait"
            " --insecure-http-parser --jitless --max-heap-size --max-http-header-size"
            " --max-old-space-size --max-semi-space-size --no-deprecation"
            " --no-experimental-strip-types --no-warnings --openssl-legacy-provider"
            " --pending-deprecation --preserve-symlinks --preserve-symlinks-main --stack-size"
            " --stack-trace-limit --throw-deprecation --trace-deprecation --trace-exit"
            " --trace-uncaught --trace-warnings --tls-max-v1.2 --tls-max-v1.3 --tls-min-v1.0"
            " --tls-min-v1.1 --tls-min-v1.2 --tls-min-v1.3 --unhandled-rejections"
            " --use-bundled-ca --use-openssl-ca --use-system-ca --version --watch --zero-fill-buffers"
        ),
        long_valued=_names(
            "--require --import --loader --experimental-loader --conditions --env-file"
            " --env-file-if-exists --icu-data-dir --input-type --title"
        ),
        long_text=_names("--eval --print"),
        reserved=_names("inspect debug"),
    ),
}

_SHELL_FLAGS: Final = frozenset("abefhiklmnprtuvxBCDEHPTIqV")
_ZSH_FLAGS: Final = frozenset("adefghijklmnpqrtuvwxyzABCDEFGHIJKLMNPQRSTUVWXYZ0123456789")
_BASH_LONGS: Final = _names(
    "debug debugger dump-po-strings dump-strings help login noediting noprofile norc posix"
    " pretty-print protected restricted verbose version wordexp"
)
_BASH_LONG_VALUED: Final = _names("init-file rcfile")
SHELLS: Final = frozenset({"bash", "rbash", "dash", "ash", "sh", "zsh"})

_NAME: Final = re.compile(
    r"(python|pypy|node|nodejs|ruby|perl|bash|rbash|dash|ash|zsh|sh)"
    r"[0-9.]*[dmtu]{0,2}(-(32|64|c|dbg|x86_64|aarch64|arm|i[3-6]86)[a-z0-9_-]*)?(\.exe)?",
    re.IGNORECASE,
)
MULTI_CALL: Final = frozenset({"busybox", "toybox"})
"""They act as the program by whose name they are called, or that their first word names."""


def kind_of(path: str) -> str | None:
    """Return the kind of interpreter at a path, such as `python`, or None."""
    found = _NAME.fullmatch(os.path.basename(path))
    if found is None:
        return None
    kind = found[1].lower()
    return "node" if kind == "nodejs" else kind


def run_of(kind: str, argv: tuple[str, ...]) -> Run:
    """Return what an interpreter of this kind runs with these arguments."""
    return _by_shell(kind, argv) if kind in SHELLS else _by_getopt(_GETOPT[kind], argv)


def is_descriptor(path: str) -> bool:
    """Tell whether a path leads to an open descriptor of a process, so that it names no file."""
    return path.startswith(("/dev/fd/", "/dev/std", "/proc/", "/memfd:"))


def _by_getopt(options: _Options, argv: tuple[str, ...]) -> Run:
    at = 1
    while at < len(argv) and argv[at].startswith("-") and argv[at] != "-":
        word = argv[at]
        if word == "--":
            at += 1
            break
        found = _long(options, word, at) if word.startswith("--") else _letters(options, argv, at)
        if isinstance(found, Run):
            return found
        at = found
    if at >= len(argv) or argv[at] in {"-", ""}:
        return Run(TEXT, "", at + 1)
    if argv[at] in options.reserved:
        return Run(UNKNOWN, "", 1)
    return Run(SCRIPT, argv[at], at + 1)


def _long(options: _Options, word: str, at: int) -> Run | int:
    """Return the index of the next word, or what runs."""
    name, equals, _ = word.partition("=")
    name = name.replace("_", "-")
    if name in options.long_text:
        return Run(TEXT, "", at + 1)
    if name in options.longs:
        return at + 1
    if name in options.long_valued:
        return at + (1 if equals else 2)
    return Run(UNKNOWN, "", 1)


def _letters(options: _Options, argv: tuple[str, ...], at: int) -> Run | int:
    word = argv[at]
    for n, letter in enumerate(word[1:], 2):
        rest = word[n:]
        if letter in options.text:
            return Run(TEXT, "", at + 1)
        if letter in options.module:
            if rest:
                return Run(MODULE, rest, at + 1)
            return Run(MODULE, argv[at + 1], at + 2) if at + 1 < len(argv) else Run(UNKNOWN, "", 1)
        if letter in options.valued:
            return at + (1 if rest else 2)
        if letter in options.attached:
            return at + 1
        if letter not in options.flags:
            return Run(UNKNOWN, "", 1)
    return at + 1


def _by_shell(kind: str, argv: tuple[str, ...]) -> Run:
    """Read a shell's options; the values of `-o` and `-O` are the words behind the letters."""
    at = _end_of_long_options(kind, argv)
    flags = _ZSH_FLAGS if kind == "zsh" else _SHELL_FLAGS
    command = standard_input = False
    while at < len(argv) and argv[at].startswith(("-", "+")):
        word = argv[at]
        at += 1
        if word in {"-", "--"}:
            break
        for n, letter in enumerate(word[1:], 2):
            if letter == "o" and kind == "zsh":  # its value may be the rest of the word
                at += not word[n:]
                break
            if letter == "o" or (letter == "O" and kind in {"bash", "rbash"}):
                at += 1
            elif letter == "c":
                command = True
            elif letter == "s" and word[0] == "+" and kind not in {"bash", "rbash", "dash", "zsh"}:
                return Run(UNKNOWN, "", 1)  # its meaning depends on the shell
            elif letter == "s":
                standard_input = word[0] == "-" or kind in {"bash", "rbash"}
            elif letter not in flags:
                return Run(UNKNOWN, "", 1)
    if command or standard_input or at >= len(argv) or not argv[at]:
        return Run(TEXT, "", at)
    return Run(SCRIPT, argv[at], at + 1)


def _end_of_long_options(kind: str, argv: tuple[str, ...]) -> int:
    """Return the index behind a shell's long options, which come first; bash allows one dash."""
    at = 1
    if kind == "zsh":
        return 3 if argv[1:2] == ("--emulate",) else 1
    while kind in {"bash", "rbash"} and at < len(argv) and argv[at].startswith("-"):
        name = argv[at].removeprefix("-").removeprefix("-")
        if name in _BASH_LONG_VALUED:
            at += 2
        elif name in _BASH_LONGS:
            at += 1
        else:
            break
    return at
