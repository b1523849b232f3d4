"""The texts of the two files by which tools without tokenward reach it.

`module` is keyring's backend in one file, for `keyring-path`; `program` is the `keyring` that pip,
uv, pdm and build look for on PATH. Both outlive an uninstalled tokenward: then the backend finds
nothing and the program runs the next `keyring`, so no tool breaks. Pure, but it reads the source of
this package.
"""

from __future__ import annotations

import shlex

from tokenward.one_file import one_file

MODULE = "tokenward_keyring"
"""The name of the copied module, by which keyring_backend.py recognises itself."""

MARK = "ritten by `auth setup keyring`"
"""A text at the beginning of both files, and of no other file."""


_HEAD = "# Written by `auth setup keyring`; `auth setup keyring --undo` removes it.\n"

_PROGRAM = """\
#!/bin/sh
# The `keyring` of tokenward, written by `auth setup keyring` (`--undo` removes it). It answers for
# package indexes; the next `keyring` on PATH answers for everything else, and for everything if
# tokenward is not installed any more.

python={python}
package={package}

if [ -x "$python" ]; then
    TOKENWARD_KEYRING_FOR=$PPID "$python" -ISc '
import sys
sys.path.insert(0, sys.argv[1])
try:
    from tokenward.keyring_command import main
except ImportError:
    sys.exit(75)
sys.exit(main(sys.argv[2:]))
' "$package" "$@"
    status=$?
    [ "$status" -eq 75 ] || exit "$status"
fi

# Run the first other program on PATH, before or after this one: pip skips the `keyring` of its own
# environment, whose plug-ins may have the answer. Only once, or two could call each other for ever.
[ -z "$TOKENWARD_KEYRING_PASSED" ] || exit 1
IFS=:
set -f
for folder in $PATH; do
    next=${{folder:-.}}/keyring
    [ -f "$next" ] && [ -x "$next" ] && ! [ "$next" -ef "$0" ] || continue
    if ! grep -qs '{mark}' "$next"; then
        export TOKENWARD_KEYRING_PASSED=1
        exec "$next" "$@"
    fi
done

# There is none. Misses stay silent, since tools go on by themselves then.
says='This is the keyring of tokenward, which answers for package indexes:

    keyring get [--mode creds] SERVICE USER
    keyring set SERVICE USER
    keyring del SERVICE USER

It runs the next keyring on PATH for everything else, and there is none.
`auth list` shows what is stored, and `auth doctor` tests whether tools find it.'
IFS=' '
case " $* " in
    *" get "* | *" set "* | *" del "*) exit 1 ;;
    " --help " | " -h ") printf '%s\\n' "$says" ;;
    *) printf '%s\\n' "$says" >&2 && exit 1 ;;
esac
"""


def module(python: str) -> str:
    """Return the backend's source in one file; `python` is the interpreter that has tokenward."""
    text = one_file("tokenward.keyring_backend", "Keyring", _HEAD)
    return text.replace('PYTHON = ""', f"PYTHON = {python!r}", 1)


def program(python: str, package: str) -> str:
    """Return the script; `package` is the folder that holds the package `tokenward`."""
    return _PROGRAM.format(python=shlex.quote(python), package=shlex.quote(package), mark=MARK)
