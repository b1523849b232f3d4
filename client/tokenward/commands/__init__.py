"""One module for each command, or for a few of one kind; cli.py imports it when the user calls it.

It has two functions: `describe(parser, command)` adds options and examples, `run(arguments, session)`
runs the command and raises its errors.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:  # the types of what a command is given
    from argparse import Namespace as Namespace

    from tokenward.session import Session as Session
    from tokenward.ui.argument_parser import Parser as Parser
