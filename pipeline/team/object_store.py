"""The S3 store of a server: its buckets, and the keys of members, which are their user and password."""

import json
from typing import TYPE_CHECKING

from pipeline.runtime.errors import UserError
from pipeline.team import tools
from pipeline.team.server import ADMIN, ARTIFACTS, DATA, Server

if TYPE_CHECKING:
    from botocore.client import BaseClient

REGION = "us-east-1"  # SeaweedFS has but one
RIGHTS = "Read,Write,List,Tagging"


def client(server: Server) -> "BaseClient":
    """The store, as its administrator."""
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{server.s3_port}",
        aws_access_key_id=ADMIN,
        aws_secret_access_key=server.admin_password,
        region_name=REGION,
    )


def make_buckets(server: Server) -> None:
    """Make the buckets that are not there."""
    store = client(server)
    there = {bucket["Name"] for bucket in store.list_buckets()["Buckets"]}
    for name in {DATA, ARTIFACTS} - there:
        store.create_bucket(Bucket=name)


def set_key(server: Server, member: str, password: str) -> None:
    """Give a member the right to DVC's bucket, by this password alone.

    Raises:
        UserError: the store cannot be reached, or has not done it.
    """
    remove_key(server, member)
    rights = f"-buckets={DATA} -actions={RIGHTS}"
    said = tools.weed_shell(
        server, f"s3.configure -user={member} -access_key={member} -secret_key={password} {rights} -apply"
    )
    if password not in said:
        raise UserError(f"SeaweedFS: has not made a key for {member}; see its log")


def keys(server: Server) -> dict[str, str]:
    """The passwords of all members, by name.

    Raises:
        UserError: the store cannot be reached.
    """
    said = tools.weed_shell(server, "s3.iam.export")
    identities = json.loads(said[said.index("{") : said.rindex("}") + 1])["identities"]
    return {key["accessKey"]: key["secretKey"] for member in identities for key in member["credentials"]}


def list_files(server: Server, bucket: str) -> list[str]:
    """The names of all files of a bucket."""
    pages = client(server).get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [file["Key"] for page in pages for file in page.get("Contents", []) if not file["Key"].endswith("/")]


def remove_key(server: Server, member: str) -> None:
    """Take a member's right to the bucket away, if there is one."""
    if member in keys(server):
        tools.weed_shell(server, f"s3.configure -user={member} -delete -apply")
