"""Put back what a backup holds, into a server that is up and has no runs; on the machine that runs it.

mendline restore /backups/monday
"""

from pathlib import Path

from pipeline.team import backup
from pipeline.team.server import described


def main(folder: Path) -> None:
    """Fill the server, and say what it has.

    Raises:
        UserError: it is no backup, or the server is not up or has runs.
    """
    server = described()
    count = backup.restore(server, folder)
    print(f"{server.url}: has the rows, the members and {count} files of {folder}")
