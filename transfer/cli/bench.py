"""`transfer bench`: measure a store, tell each step, sum up, and leave nothing behind."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from transfer.cli.bench_flags import BenchFlags
from transfer.cli.exit_codes import ExitCode, code_of_end
from transfer.cli.flags import ConnectionFlags, OutputFlags
from transfer.cli.messages import Measured
from transfer.cli.output import Output
from transfer.cli.run import closing, run
from transfer.model.errors import LocalFileError, UsageError
from transfer.model.options import ConnectionOptions
from transfer.version import __version__

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transfer.model.bench import BenchBegun, BenchCleaned, BenchNews, BenchOptions, StepResult

EXAMPLES = """
Examples:
  transfer bench s3://bucket/tmp --dry-run           what it would write and ask for
  transfer bench s3://bucket/tmp                     put and get of 1 MiB
  transfer bench s3://bucket/tmp --size 4KiB,1MiB,16MiB --concurrency 8,64
  transfer bench s3://bucket/tmp --op mixed --mix get=70,put=30 --duration 60
  transfer bench s3://bucket/tmp --op list,delete --objects 5000 --requests 2000
  transfer bench s3://bucket/tmp --output today.json --plot today.png

Everything is written below a fresh prefix and removed at the end, also after
Ctrl-C; other objects are never touched. Requests cost money at some stores.
Latencies are those of single requests, signed and verified as in cp; failed ones
are counted by what the store said, and attempts made again are counted apart.
At first byte stands the median time until the answer to a get begins.
"""


def bench(
    url: Annotated[str, typer.Argument(metavar="URL", help="s3://bucket, or a prefix in it to write below.")],
    wanted: BenchFlags,
    connection: ConnectionFlags,
    output: OutputFlags,
) -> int:
    """Measure a store: rates and latencies of real requests."""
    writer = output.output()
    connected = connection.options()
    one = _Bench(url, wanted, wanted.options(), connected, writer)
    one.check()
    return run(writer, one.work)


class _Bench:
    """One run of `bench`."""

    def __init__(
        self, url: str, flags: BenchFlags, options: BenchOptions, connection: ConnectionOptions, output: Output
    ) -> None:
        self._url = url
        self._flags = flags
        self._options = options
        self._connection = connection
        self._output = output
        self._results: list[StepResult] = []
        self._begun: BenchBegun | None = None
        self._cleaned: BenchCleaned | None = None
        self._began_seconds = time.time()

    def check(self) -> None:
        """Refuse what could not be done at the end, and what makes no sense, before anything is opened."""
        from transfer.engine.bench.asking import check_bench

        check_bench(self._url, self._options)
        if self._flags.plot is not None:
            from transfer.cli.bench_plot import check_plot

            check_plot(self._flags.plot)
        for option, file, is_replaced in (("--output", self._flags.result, True), ("--plot", self._flags.plot, False)):
            if file is None:
                continue
            subject = f"{option} {file}"
            if not file.absolute().parent.is_dir():
                raise UsageError("there is no such folder", subject=subject, remedy="make it first")
            if not self._flags.dry_run:
                _check_writable(file, subject, is_replaced=is_replaced)

    async def work(self) -> ExitCode:
        """Measure it all, and say how it ended; raises what ended it early."""
        began = time.monotonic()
        try:
            await self._measure()
        except BaseException as error:
            if self._begun is not None and not self._flags.dry_run:
                self._sum_up(began, code_of_end(error))
            raise
        finally:
            self._note_ending()
        if self._flags.dry_run:
            return ExitCode.DONE
        is_left = self._cleaned is None or (self._cleaned.left != 0 and not self._cleaned.is_kept)
        failed = is_left or any(result.total.failed for result in self._results)
        code = ExitCode.FAILED if failed else ExitCode.DONE
        self._sum_up(began, code)
        return code

    async def _measure(self) -> None:
        from transfer.cli.bench_screen import bench_screen
        from transfer.engine.transfer import Transfer
        from transfer.model.bench import BenchTick

        options = self._flags.transfer_options()
        async with Transfer(connection=self._connection, options=options, on_event=self._output.event) as transfer:
            news = transfer.bench(self._url, self._options, dry_run=self._flags.dry_run)
            with bench_screen(self._output) as screen:
                async with closing(news):
                    try:
                        async for one in news:
                            if isinstance(one, BenchTick):
                                if screen is not None:
                                    screen.show(one)
                            else:
                                self._hear(one)
                    except asyncio.CancelledError:
                        self._tell_of_cleaning()
                        # The engine has cleaned up when this returns, and tells of it last.
                        self._hear_of_cleaning(await news.rest())
                        raise

    def _hear(self, one: BenchNews) -> None:
        from transfer.cli import bench_lines, bench_records
        from transfer.model.bench import BenchBegun, BenchCleaned, StepResult

        is_dry_run = self._flags.dry_run
        if isinstance(one, BenchBegun):
            self._begun = one
            record = bench_records.plan_record(one, self._options, is_dry_run=is_dry_run)
            self._output.show(Measured(bench_lines.plan_lines(one, self._options), record, is_answer=is_dry_run))
        elif isinstance(one, StepResult):
            self._results.append(one)
            lines = bench_lines.row_lines(one, is_first=len(self._results) == 1)
            self._output.show(Measured(lines, bench_records.step_record(one), is_answer=True))
        elif isinstance(one, BenchCleaned):
            self._cleaned = one

    def _hear_of_cleaning(self, rest: Sequence[BenchNews]) -> None:
        from transfer.model.bench import BenchCleaned

        for one in rest:
            if isinstance(one, BenchCleaned):
                self._hear(one)

    def _note_ending(self) -> None:
        from transfer.cli.bench_lines import ending

        self._output.note_ending(ending(None if self._flags.dry_run else self._begun, self._cleaned))

    def _tell_of_cleaning(self) -> None:
        from transfer.cli.bench_lines import cleaning_line

        if self._begun is not None and not self._options.keep and not self._flags.dry_run:
            place = self._begun.place
            self._output.show(Measured(cleaning_line(place), {"type": "bench_cleaning", "place": place}))

    def _sum_up(self, began: float, code: ExitCode) -> None:
        from transfer.cli.bench_lines import summary_lines
        from transfer.cli.bench_records import summary_record

        record = summary_record(self._results, self._cleaned, time.monotonic() - began, int(code))
        # The last line of an interrupted run tells people of the objects.
        cleaned = None if code is ExitCode.INTERRUPTED else self._cleaned
        self._output.show(Measured(summary_lines(self._results, cleaned), record))
        if self._results:
            self._keep_figures(record)

    def _keep_figures(self, summary: dict[str, Any]) -> None:
        """Write the files that were asked for, also of a run that was stopped."""
        from transfer.cli.bench_records import options_record, step_record

        if self._flags.result is not None:
            record = {
                "transfer": __version__,
                "url": self._url,
                "began": datetime.fromtimestamp(self._began_seconds, UTC).isoformat(timespec="seconds"),
                "options": options_record(self._options),
                "steps": [step_record(result) for result in self._results],
                "summary": summary,
            }
            _write_text(self._flags.result, json.dumps(record, indent=2) + "\n")
        if self._flags.plot is not None:
            from transfer.cli.bench_plot import draw

            draw(self._results, f"transfer bench {self._url}", self._flags.plot)


def _check_writable(file: Path, subject: str, *, is_replaced: bool) -> None:
    """Refuse a file that could not be written at the end, by trying; changes none and leaves none.

    Args:
        file: Where it is to be.
        subject: The option as it was given.
        is_replaced: A new file takes the place of one that is there, which otherwise is written over.

    Raises:
        UsageError: It cannot be written.
    """
    try:
        if file.is_dir():
            raise UsageError("it is a folder", subject=subject, remedy="name a file in it")
        if file.is_file() and not is_replaced:
            file.open("ab").close()
        else:
            making = _making(file)
            making.touch()
            making.unlink()
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise UsageError(reason, subject=subject, remedy="name a file in a folder you may write to") from error


def _making(file: Path) -> Path:
    """What a file is called until it is whole."""
    return file.with_name(f".{file.name}.making")


def _write_text(file: Path, text: str) -> None:
    """Write a file at once or not at all.

    Raises:
        LocalFileError: It cannot be written.
    """
    making = _making(file)
    try:
        making.write_text(text, encoding="ascii")
        making.replace(file)
    except OSError as error:
        with suppress(OSError):
            making.unlink(missing_ok=True)
        raise LocalFileError.from_os_error(error, str(file)) from error
