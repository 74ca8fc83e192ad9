"""Errors a user can mend; the command line prints them as one line, without a traceback."""


class NbevalError(Exception):
    """Something failed and the message says what to do about it (exit code 1)."""


class UsageError(NbevalError):
    """The call itself is off: an unknown name, a bad value (exit code 2)."""


def unknown(kind: str, name: str, known: "list[str] | tuple[str, ...]") -> UsageError:
    """Return the error for a name that is not known, naming the nearest one that is.

    Args:
        kind: What the name stands for, such as ``"method"``.
        name: What the user wrote.
        known: Every name that would have been accepted.
    """
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return UsageError(f"unknown {kind} {name!r}: {hint}known are {', '.join(known)}")
