"""An option with one value: a second one is an error, where argparse would drop the first.

What somebody asks for twice they may mean twice: two services, two lengths of time.
"""

from __future__ import annotations

import argparse

_GIVEN = " given"
"""Where the namespace has the options that were read."""


class Once(argparse.Action):
    """What argparse calls `store`, once."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        """Store a value, and leave the parser where there is one already."""
        given = vars(namespace).setdefault(_GIVEN, set())
        if option_string is not None and self.dest in given:
            parser.error(f"argument {option_string}: is given twice")
        given.add(self.dest)
        setattr(namespace, self.dest, values)
