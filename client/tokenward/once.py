"""An attribute that is made when it is first asked for: `functools.cached_property` without functools.

That module and what it loads take a quarter of what the interpreter takes to start.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from functools import cached_property as once
    from typing import Any
else:

    class once:  # noqa: N801 - a decorator
        """Calls the method once; the attribute of its name then hides this."""

        def __init__(self, make: Callable[[Any], Any]) -> None:
            self._make = make
            self.__doc__ = make.__doc__

        def __set_name__(self, _: type, name: str) -> None:
            self._name = name

        def __get__(self, owner: Any, _: type | None = None) -> Any:
            if owner is None:
                return self
            made = vars(owner)[self._name] = self._make(owner)
            return made


__all__ = ["once"]
