"""rclone, with a remote made of its command line."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.peers.task import Task


@dataclass(frozen=True, slots=True)
class RcloneCommands:
    """The command `rclone`."""

    program: str

    def command(self, task: Task) -> list[str] | None:
        """Return the command of a task.

        It is spared a look at each destination, which no other tool here takes, and lists by keys alone.
        """
        remote = f":s3,provider=Other,env_auth=true,no_check_bucket=true,endpoint='{task.endpoint_url}'"
        place = f"{remote}:{task.bucket}/{task.key}"
        trusted = ["--ca-cert", task.ca_bundle] if task.ca_bundle else []
        if task.action == "list":
            return [self.program, "lsf", "--files-only", "--recursive", "--fast-list", *trusted, place]
        flags = ["--no-check-dest", *trusted]
        if task.concurrency:
            width = str(task.concurrency)
            flags += ["--transfers", width, "--multi-thread-streams", width, "--s3-upload-concurrency", width]
        places = [task.path, place] if task.action == "upload" else [place, task.path]
        return [self.program, "copy" if task.is_tree else "copyto", *flags, *places]

    def version(self) -> list[str] | None:
        """Return the command that prints the version."""
        return [self.program, "version"]
