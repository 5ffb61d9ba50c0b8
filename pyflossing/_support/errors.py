"""Errors of running computations; refusals of arguments are plain ValueErrors."""

from __future__ import annotations


class DamagedFileError(ValueError):
    """A file is truncated, garbage, none of ours, or of another version."""


class NonFiniteError(ArithmeticError):
    """A number that is not finite stopped a run.

    Attributes:
        quantity: what was not finite.
        step: step of the trial (from 1), where it can be told.
        epoch, flossing_epoch: where in the run (from 1), None outside a run.
    """

    def __init__(
        self,
        message: str,
        *,
        quantity: str,
        step: int | None = None,
        epoch: int | None = None,
        flossing_epoch: int | None = None,
    ) -> None:
        self.message = message
        self.quantity = quantity
        self.step = step
        self.epoch = epoch
        self.flossing_epoch = flossing_epoch
        places = {"epoch": epoch, "flossing epoch": flossing_epoch, "step": step}
        place = ", ".join(f"{name} {value}" for name, value in places.items() if value is not None)
        super().__init__(f"{message} ({place})" if place else message)

    def at(self, epoch: int, flossing_epoch: int | None = None) -> NonFiniteError:
        """The same error with its place in the run."""
        return NonFiniteError(
            self.message, quantity=self.quantity, step=self.step, epoch=epoch, flossing_epoch=flossing_epoch
        )
