"""Errors that a user can fix; the command line prints them without a traceback."""


class NbevalError(Exception):
    """Something failed, and the message says what to do about it (exit code 1)."""


class UsageError(NbevalError):
    """The call itself is wrong: an unknown name or an invalid value (exit code 2)."""


class Diverged(NbevalError):
    """A search observed a number that is not finite, so its state means nothing any more.

    Attributes:
        step: The number of steps that had finished before.
        cause: What was not finite, such as ``train_loss is nan``.
    """

    def __init__(self, step: int, cause: str) -> None:
        super().__init__(f"diverged in step {step + 1}: {cause}")
        self.step, self.cause = step, cause


def unknown(kind: str, name: str, known: "list[str] | tuple[str, ...]") -> UsageError:
    """Return the error for an unknown name; its message suggests the nearest known one.

    Args:
        kind: What the name refers to, such as ``"method"``.
        name: What the user wrote.
        known: Every valid name.
    """
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return UsageError(f"unknown {kind} {name!r}: {hint}known are {', '.join(known)}")
