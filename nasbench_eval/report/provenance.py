"""What a report says about how the runs of a variant were made; the command that knows the presets fills it in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SettingRow:
    """One setting of a variant.

    Attributes:
        name: Its name, as ``--set`` takes it.
        value: The value that the runs had.
        preset: The value of the preset on this data set, which is the published one where ``source`` says so; empty if
            unknown.
        source: Where the preset's value comes from: a section of a paper or a file of code, or our choice.
        meaning: What the setting means.
        has_effect: Whether it has an effect, given the other settings.
    """

    name: str
    value: str
    preset: str
    source: str
    meaning: str
    has_effect: bool

    @property
    def differs(self) -> bool:
        """Whether the runs had another value than the preset."""
        return bool(self.preset) and self.has_effect and self.value != self.preset


@dataclass(frozen=True)
class Provenance:
    """How the runs of a variant were made.

    Attributes:
        summary: The method in one line.
        paper: Its paper.
        settings: Every setting.
        command: The command that makes the runs again.
        note: What the reader must know about the command or the settings; empty if nothing.
    """

    summary: str
    paper: str
    settings: tuple[SettingRow, ...]
    command: str
    note: str = ""
