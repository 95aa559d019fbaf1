"""Who calls: a bearer token becomes an identity, and the identity a desk in its name, if its role allows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from orchestrator.desks.direct import DirectDesk
from orchestrator.errors import RefusedError, SetupError
from orchestrator.tokens import Role, find
from orchestrator.web.refusals import CodedError

if TYPE_CHECKING:
    from collections.abc import Callable

_BEARER = HTTPBearer(auto_error=False, description="A token of the fleet: `Authorization: Bearer TOKEN`.")


def _desk_for(needed: Role) -> Callable[[Request, HTTPAuthorizationCredentials | None], DirectDesk]:
    """A dependency: the desk in the caller's name.

    Raises (when called):
        CodedError: There is no token, it stands for nobody, or its role does not allow the call.
    """

    def desk(
        request: Request, shown: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)] = None
    ) -> DirectDesk:
        if shown is None:
            missing = SetupError(
                "The API asks for a token.", "Set SHOPFLOOR_TOKEN, or send `Authorization: Bearer TOKEN`."
            )
            raise CodedError(missing, "unauthenticated")
        identity = find(request.app.state.tokens, shown.credentials)
        if identity is None:
            unknown = SetupError("The API does not know this token.", "Ask whoever runs the fleet for another one.")
            raise CodedError(unknown, "unauthenticated")
        if not identity.role.allows(needed):
            barred = RefusedError(
                f"The token '{identity.name}' has the role {identity.role}; this takes {needed}.",
                f"Use a token with the role {needed}.",
            )
            raise CodedError(barred, "forbidden")
        return DirectDesk(request.app.state.floor, identity.name)

    return desk


Viewer = Annotated[DirectDesk, Depends(_desk_for(Role.VIEWER))]
Submitter = Annotated[DirectDesk, Depends(_desk_for(Role.SUBMITTER))]
Lead = Annotated[DirectDesk, Depends(_desk_for(Role.LEAD))]
