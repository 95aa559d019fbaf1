"""The base of every value of the domain."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A value: it never changes, and has no field that its class does not name."""

    model_config = ConfigDict(frozen=True, extra="forbid")
