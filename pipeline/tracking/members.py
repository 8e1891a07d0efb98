"""Who may log to a team's MLflow, and what MLflow tells those who join: where DVC's remote is."""

import warnings
from typing import TYPE_CHECKING

from pipeline.runtime.errors import UserError
from pipeline.tracking import place
from pipeline.tracking.client import connect, is_missing
from pipeline.tracking.faults import mlflow_errors

if TYPE_CHECKING:
    from mlflow.server.auth.client import AuthServiceClient

ROLE = "member"  # may log to all experiments and register models; MLflow lets other users read
TIERS = ("experiment", "registered_model")
WORKSPACE = "default"
REMOTE, S3 = "team.remote", "team.s3"  # tags of the experiment: DVC's remote, and the address of its S3 store


def set_up(remote: str, s3_url: str) -> None:
    """As administrator: make the experiments and the role of members, and note where the remote is.

    Raises:
        UserError: MLflow refuses.
    """
    store = connect()
    with mlflow_errors():
        store.client.set_experiment_tag(store.rows, REMOTE, remote)
        store.client.set_experiment_tag(store.rows, S3, s3_url)
        _role(_logins())


def add(name: str, password: str) -> bool:
    """As administrator: make a member, or give one another password.

    Returns:
        Whether the member is new.

    Raises:
        UserError: MLflow refuses.
    """
    with mlflow_errors():
        logins = _logins()
        known = _is_known(logins, name)
        if known:
            logins.update_user_password(name, password)
        else:
            logins.create_user(name, password)
        if ROLE not in {role.name for role in logins.list_user_roles(name)}:
            logins.assign_role(name, _role(logins))
    return not known


def remove(name: str) -> None:
    """As administrator: let a member no longer in; the member's rows stay.

    Raises:
        UserError: there is none, or MLflow refuses.
    """
    with mlflow_errors():
        logins = _logins()
        if not _is_known(logins, name):
            raise UserError(f"MLflow at {place.shown()}: no member {name}; see the users in its UI")
        logins.delete_user(name)


def where_data_is() -> tuple[str, str]:
    """DVC's remote and the address of its S3 store, as the server has noted them; empty where it has not.

    Raises:
        UserError: MLflow cannot be used, or refuses user and password.
    """
    store = connect()
    with mlflow_errors():
        tags = store.client.get_experiment(store.rows).tags
    return tags.get(REMOTE, ""), tags.get(S3, "")


def _logins() -> "AuthServiceClient":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what MLflow's server imports
        from mlflow.server import get_app_client

        return get_app_client("basic-auth", place.uri())


def _is_known(logins: "AuthServiceClient", name: str) -> bool:
    from mlflow.exceptions import MlflowException

    try:
        logins.get_user(name)
    except MlflowException as error:
        if is_missing(error):
            return False
        raise
    return True


def _role(logins: "AuthServiceClient") -> int:
    """The id of `ROLE`, with all its rights."""
    roles = {role.name: role.id for role in logins.list_roles(WORKSPACE)}
    if ROLE not in roles:
        roles[ROLE] = logins.create_role(WORKSPACE, ROLE).id
    granted = {right.resource_type for right in logins.list_role_permissions(roles[ROLE])}
    for tier in TIERS:
        if tier not in granted:
            logins.add_role_permission(roles[ROLE], tier, "*", "EDIT")
    return roles[ROLE]
