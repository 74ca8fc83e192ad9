"""Errors that a user can fix; the command line prints them without a traceback."""

from nasbench_eval.official_names import name_hint


class NbevalError(Exception):
    """Something failed, and the message says what to do about it.

    Attributes:
        exit_code: That of a command that ends with this error.
    """

    exit_code = 1


class UsageError(NbevalError):
    """The call itself is wrong: an unknown name or an invalid value."""

    exit_code = 2


class InUseError(NbevalError):
    """Another command is at work on what was asked for: ask again later."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: a temporary failure, to be tried again


class RunError(NbevalError):
    """One run cannot end; the others of a command go on, and the error is shown after them."""


class MethodError(RunError):
    """A method of the user's is not called or does not answer as the interface says."""


class Diverged(NbevalError):
    """A search observed a number that is not finite, so its state means nothing any more.

    Attributes:
        step: The number of steps that had finished before.
        cause: What was not finite, such as ``train_loss is nan``.
    """

    def __init__(self, step: int, cause: str) -> None:
        super().__init__(f"diverged in step {step + 1}: {cause}")
        self.step, self.cause = step, cause


class ReaderGone(BrokenPipeError):
    """Nobody reads any more how far a command is, and it has not finished."""


def unknown(kind: str, name: object, known: "list[str] | tuple[str, ...]") -> UsageError:
    """Return the error for an unknown name; its message suggests the nearest known one.

    Args:
        kind: What the name refers to, such as ``"method"``.
        name: What the user wrote.
        known: Every valid name.
    """
    return UsageError(f"unknown {kind} {name!r}: {nearest(name, known)}known are {', '.join(known)}")


def nearest(name: object, known: "list[str] | tuple[str, ...]") -> str:
    """Return a clause that names the known name which an unknown one means; empty if there is none.

    It is what the official benchmarks call so (``official_names``), else the most similar name.
    """
    import difflib

    if not isinstance(name, str):
        return ""
    if official := name_hint(name, known):
        return official
    lower = {each.lower(): each for each in known}
    near = difflib.get_close_matches(name, known, n=1) or difflib.get_close_matches(name.lower(), lower, n=1)
    return f"did you mean {lower.get(near[0].lower(), near[0])!r}? " if near else ""
