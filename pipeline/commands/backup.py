"""Write all that the team's server has into a new folder; on the machine that runs it, while it runs.

mendline backup /backups/monday

The folder holds passwords: nobody else may read it.
"""

from pathlib import Path

from pipeline.team import backup
from pipeline.team.server import described


def main(folder: Path) -> None:
    """Write the folder, and say what it holds.

    Raises:
        UserError: there is such a folder, or no server is up here.
    """
    count = backup.write(described(), folder)
    print(f"{folder}: the rows, the members and {count} files; make restore FOLDER={folder} puts them back")
