"""Let a member into the team's server, or give one a new password; on the machine that runs the server.

mendline member ann

A password is made, and shown once: it opens MLflow and DVC's remote. The one before it then opens neither.
"""

import re
import secrets

from pipeline.runtime.errors import UserError, excerpt
from pipeline.team import object_store
from pipeline.team.server import ADMIN, become_admin, described
from pipeline.tracking import members

NAME = r"[a-z0-9][a-z0-9._-]{0,62}"


def main(name: str, remove: bool) -> None:
    """Make the member, or with `remove` shut them out, and say what to do next.

    Raises:
        UserError: the name is none, there is no server here, or it refuses.
    """
    if not re.fullmatch(NAME, name) or name == ADMIN:
        allowed = f"small letters, digits, . _ and -, and not {ADMIN}"
        raise UserError(f"{excerpt(name)}: no name for a member; expected {allowed}")
    server = described()
    become_admin(server)
    if remove:
        object_store.remove_key(server, name)
        members.remove(name)
        print(f"{name} may no longer log in; the rows and data stay")
        return
    password = secrets.token_urlsafe(24)
    is_new = members.add(name, password)
    object_store.set_key(server, name, password)
    print(f"{name} {'may log in' if is_new else 'has a new password'}: {password}")
    print(f"on their machine, which asks for the password: make join URL={server.url} NAME={name}")
