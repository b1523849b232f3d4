"""What the standard library has, without what it loads: a command may end before that is loaded.

| here | in the standard library | which loads |
| --- | --- | --- |
| `once` | `functools.cached_property` | `functools`, `collections` |
| `Record` | `dataclasses.dataclass` | `inspect`, `re` |
| `parse_json`, `json_text` | `json.loads`, `json.dumps` | `re` |

JSON is read and written by the same C code that `json` calls, and by `json` itself where that code is
missing, has another form, or finds something wrong: so an answer or an error is never another one.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from functools import cached_property as once
    from typing import Any, dataclass_transform
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

    def dataclass_transform(**_: bool) -> Callable[[type], type]:
        """Return a decorator whose meaning is only for type checkers."""
        return lambda kind: kind


__all__ = ["Record", "json_text", "once", "parse_json"]


@dataclass_transform(eq_default=False)
class Record:
    """The base of classes whose fields are their annotations, in that order, as of a dataclass.

    Equality is identity, and no field is in the repr: it may be a secret.
    """

    def __init__(self, *values: Any, **named: Any) -> None:
        """Set the fields. Raises TypeError unless these are all without a default, and no others."""
        kind = type(self)
        fields = kind.__annotations__
        given = dict(zip(fields, values)) | named  # noqa: B905 - checked below
        usual = {name: getattr(kind, name) for name in fields if hasattr(kind, name)}
        held = usual | given
        if len(given) != len(values) + len(named) or held.keys() != fields.keys():
            raise TypeError(f"{kind.__name__} has the fields {', '.join(fields)}")
        vars(self).update(held)


class _Reading:
    """The usual options of `json.loads`, as the parser asks for them."""

    strict = True
    object_hook = object_pairs_hook = array_hook = None
    parse_float, parse_int, parse_constant = float, int, float


_READING: Any = _Reading()
_NO_DEFAULT: Any = None


def parse_json(text: str) -> Any:
    """Return the value of a JSON text. Raises ValueError and RecursionError, as `json.loads`."""
    bare = text.strip(" \t\n\r")
    try:
        from _json import make_scanner

        value, end = make_scanner(_READING)(bare, 0)
        if end == len(bare):
            return value
    except Exception:  # noqa: BLE001, S110 - `json` says what is wrong
        pass
    import json

    return json.loads(text)


def json_text(value: object) -> str:
    """Return a value as JSON text in ASCII. Raises TypeError and ValueError, as `json.dumps`."""
    try:
        from _json import encode_basestring_ascii as quote
        from _json import make_encoder

        write = make_encoder(None, _NO_DEFAULT, quote, None, ": ", ", ", False, False, True)
        return "".join(write(value, 0))
    except Exception:  # noqa: BLE001 - likewise
        import json

        return json.dumps(value)
