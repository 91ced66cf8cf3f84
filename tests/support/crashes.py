"""Crash drills: the command is killed again and again, run until it ends well, and what became of its work is judged.

Owns the order of a drill, the proxy that its processes speak through, and the judgement.
"""

import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

from tests.support.cli import Cli
from tests.support.crash_journal import finished_names, journal_rows, knows_a_job, rows_now
from tests.support.crash_moments import Moment, Scenario, Switch, When, choose_moments, make_gates
from tests.support.crash_process import RUN_TIMEOUT_SECONDS, Run, start_in_group, wait_in
from tests.support.crash_stage import STORED, TEMPORARY_SUFFIX, Stage, read_tree
from tests.support.crash_traffic import (
    Chunk,
    DataRequest,
    Loss,
    data_requests,
    delivered_bytes,
    delivered_keys,
    late_bytes,
    loss_at_end,
    repeated_chunks,
)
from tests.support.crash_verdict import Damage, Problem, Verdict
from tests.support.fault_proxy import ThreadedFaultProxy

LANES = 4
# Two workers hash or record while the others hold the lanes; a tree has four more for its items.
WORKERS = {False: LANES + 2, True: LANES + 4}
OPTIONS = ("--part-size", "5MiB", "--concurrency", str(LANES))


class CrashDrill:
    """One scenario with its own folder, prefix and state folder.

    Args:
        stage: The server and the data.
        folder: For what is downloaded, for the state and for what the processes say.
        scenario: What is moved.
        seed: Chooses the moments, unless they are given.
        moments: When to end a process; the run after the last of them goes to its end.
        number: The signal to end them with; SIGKILL goes to all of the group.
    """

    def __init__(
        self,
        stage: Stage,
        folder: Path,
        scenario: Scenario,
        seed: int,
        moments: Sequence[Moment] | None = None,
        number: signal.Signals = signal.SIGKILL,
    ) -> None:
        self.stage = stage
        self.folder = folder
        self.prefix = f"{scenario}-{seed}-{folder.name}/"
        self.state = folder / "state"
        self.landing = folder / "landing"
        self._scenario = scenario
        self._moments = choose_moments(scenario, seed) if moments is None else moments
        self._number = number
        self._gates = make_gates(scenario)
        self._name = "tree" if scenario.is_tree else "large"
        self._expected = stage.contents(self._name)
        self._losses: list[Loss] = []
        self._is_copied = False
        self._begins: list[int] = []
        self._verdict = Verdict(scenario, seed, data_bytes=sum(map(len, self._expected.values())))
        self._sizes = {self._key_of(path): len(content) for path, content in self._expected.items()}
        self._names = {self._key_of(path): self._name_in_journal(path) for path in self._expected}

    def run(self) -> Verdict:
        """Carry the drill out, judge it, and remove what it has stored."""
        try:
            with ThreadedFaultProxy(self.stage.server.endpoint_url, *self._gates.values()) as proxy:
                try:
                    self._survive(proxy)
                except (TimeoutError, subprocess.TimeoutExpired) as error:
                    self._tell(Damage.HUNG, str(error))
                self._judge_traffic(proxy)
            self._judge_remains()
            self._judge_bytes()
            return self._verdict
        finally:
            self.stage.clear(self.prefix)

    def _survive(self, proxy: ThreadedFaultProxy) -> None:
        for moment in self._moments:
            if not self._is_ended_at(proxy, moment):
                return
            self._judge_final_names()
        with self._running(proxy) as run:
            run.process.wait(RUN_TIMEOUT_SECONDS)
            self._judge_end(run)

    def _is_ended_at(self, proxy: ThreadedFaultProxy, moment: Moment) -> bool:
        """Run the command and end it; False when it was done before the moment came."""
        gate = self._gates.get(moment.when)
        switch = gate.switch if gate is not None else Switch()
        missing = self._verdict.data_bytes - delivered_bytes(self._data(proxy))
        switch.turn_on(self._is_due(moment, proxy))
        try:
            with self._running(proxy) as run:
                wait_in(run.process, lambda: self._has_come(moment, proxy, run, missing))
                is_ended = run.end(self._number)
                if is_ended:
                    self._verdict.ends.append(moment)
                    self._losses.append(self._loss(proxy, run))
                else:
                    self._judge_end(run)
                return is_ended
        finally:
            switch.turn_off()

    def _is_due(self, moment: Moment, proxy: ThreadedFaultProxy) -> Callable[[], bool]:
        """Tells when the gate of a moment has to close: at once, unless something must pass for the moment to come.

        Notes are written a while after the items were delivered: all the others would be delivered meanwhile. What the
        process before had in the sockets' buffers may pass now, but nobody takes note of it.
        """
        if moment.when is not When.RECORDED:
            return lambda: True
        began_at, recorded = len(proxy.requests), finished_names(self.state)

        def is_due() -> bool:
            delivered = {self._names[key] for key in delivered_keys(self._data(proxy, began_at))}
            return len(recorded | delivered) >= moment.amount + LANES

        return is_due

    def _loss(self, proxy: ThreadedFaultProxy, run: Run) -> Loss:
        data = self._data(proxy)
        if delivered_bytes(data) == self._verdict.data_bytes and not knows_a_job(self.state):
            # The job had come to its end and was forgotten; only the exit was missing. The next run is another copy.
            self._is_copied = True
            return Loss((), tuple(request.length for request in data if request.is_finished))
        finished = finished_names(self.state)
        completed = {
            unquote(urlsplit(seen.target).path).removeprefix(f"/{self.stage.bucket}/")
            for seen in proxy.seen("POST", "uploadId=")
        }

        def is_recorded(chunk: Chunk) -> bool:
            """An object gets its parts together, or its final name, only when all of them are recorded."""
            if chunk.is_whole:
                return self._names[chunk.key] in finished
            if self._is_copied:
                # That the object is there tells of the copy before.
                return False
            return chunk.key in completed if self._scenario.is_upload else Path(self._names[chunk.key]).exists()

        return loss_at_end(self._data(proxy, run.began_at), WORKERS[self._scenario.is_tree], is_recorded)

    def _has_come(self, moment: Moment, proxy: ThreadedFaultProxy, run: Run, missing: int) -> bool:
        requests = proxy.requests[run.began_at :]
        match moment.when:
            case When.AT_ONCE:
                return True
            case When.BYTES:
                passed = sum(request.passed for request in data_requests(requests, self._sizes))
                return passed >= moment.amount * missing
            case When.REQUESTS:
                return len(requests) >= moment.amount
            case When.LAST_BYTE:
                return delivered_bytes(self._data(proxy)) >= self._verdict.data_bytes
            case When.CREATE_ANSWERED | When.COMPLETE_ANSWERED:
                wanted = "uploads" if moment.when is When.CREATE_ANSWERED else "uploadId="
                answered = [
                    seen for seen in requests if seen.method == "POST" and seen.status and wanted in seen.target
                ]
                return len(answered) >= moment.amount
            case When.OPENED | When.LANDED | When.RECORDED | When.FORGOTTEN:
                return self._is_on_disk(moment, run)
            case _:
                return any(seen.fault is self._gates[moment.when] and seen.fault_applied for seen in requests)

    def _is_on_disk(self, moment: Moment, run: Run) -> bool:
        """Whether the landing folder or the journal shows that a moment has come."""
        match moment.when:
            case When.OPENED:
                return any(self.landing.rglob(f"*{TEMPORARY_SUFFIX}"))
            case When.LANDED:
                return sum(1 for _ in self._landed()) >= moment.amount
            case When.RECORDED:
                return rows_now(self.state, "finished") >= moment.amount
            case _:
                items = rows_now(self.state, "items")
                run.most_items = max(run.most_items, items)
                return items < run.most_items

    @contextmanager
    def _running(self, proxy: ThreadedFaultProxy) -> Iterator[Run]:
        said = self.folder / f"run-{len(self._begins) + 1}.txt"
        cli = Cli(self.stage.server.at(proxy.endpoint_url), self.folder)
        began_at = len(proxy.requests)
        self._begins.append(began_at)
        with start_in_group(cli, said, "cp", *OPTIONS, *self._arguments(), state=self.state) as process:
            yield Run(process, said, began_at)

    def _arguments(self) -> list[str]:
        remote = f"s3://{self.stage.bucket}/{self.prefix if self._scenario.is_upload else STORED}{self._name}"
        local = str((self.stage.sources if self._scenario.is_upload else self.landing) / self._name)
        paths = [local, remote] if self._scenario.is_upload else [remote, local]
        return ["-r", *(f"{path}/" for path in paths)] if self._scenario.is_tree else paths

    def _key_of(self, path: str) -> str:
        prefix = self.prefix if self._scenario.is_upload else STORED
        return f"{prefix}{self._name}/{path}" if self._scenario.is_tree else f"{prefix}{self._name}"

    def _name_in_journal(self, path: str) -> str:
        """What a finished item is called there: by its destination."""
        if self._scenario.is_upload:
            return f"s3://{self.stage.bucket}/{self._key_of(path)}"
        return str(self.landing / self._name / path)

    def _data(self, proxy: ThreadedFaultProxy, began_at: int = 0) -> list[DataRequest]:
        return data_requests(proxy.requests[began_at:], self._sizes)

    def _landed(self) -> Iterator[Path]:
        """The files that have their final names."""
        found = self.landing.rglob("*")
        return (path for path in found if path.is_file() and not path.name.endswith(TEMPORARY_SUFFIX))

    def _tell(self, damage: Damage, told: str) -> None:
        self._verdict.problems.append(Problem(damage, told))

    def _judge_end(self, run: Run) -> None:
        if run.process.returncode != 0:
            self._tell(Damage.EXIT, run.told())

    def _judge_final_names(self) -> None:
        """What has its final name is whole, at every moment."""
        if self._scenario.is_upload:
            for key, size in self.stage.sizes(self.prefix).items():
                if size != self._sizes.get(key):
                    self._tell(Damage.TORN, f"{key} has {size} bytes")
            return
        for path in self._landed():
            relative = path.relative_to(self.landing / self._name).as_posix() if self._scenario.is_tree else ""
            if path.read_bytes() != self._expected.get(relative):
                self._tell(Damage.TORN, str(path))

    def _judge_traffic(self, proxy: ThreadedFaultProxy) -> None:
        data, verdict = self._data(proxy), self._verdict
        verdict.resent_bytes = sum(request.passed for request in data) - verdict.data_bytes
        late = [
            chunk
            for began, ended in pairwise([*self._begins, None])
            for chunk in late_bytes(data_requests(proxy.requests[began:ended], self._sizes))
        ]
        verdict.bound_bytes = sum(loss.bytes_again for loss in self._losses) + sum(late)
        again = repeated_chunks(data)
        verdict.again = len(again)
        verdict.bound_again = sum(loss.chunks_again for loss in self._losses) + len(late)
        if verdict.resent_bytes < 0:
            self._tell(Damage.COUNT, f"{-verdict.resent_bytes} bytes too few")
        if verdict.resent_bytes > verdict.bound_bytes:
            self._tell(Damage.RESENT, f"{verdict.resent_bytes} bytes, at most {verdict.bound_bytes} may be")
        if verdict.again > verdict.bound_again:
            self._tell(Damage.RESENT, f"{verdict.again} chunks, at most {verdict.bound_again} may be: {again[:3]}...")

    def _judge_remains(self) -> None:
        for key in self.stage.uploads():
            self._tell(Damage.ORPHAN, key)
        for path in self.landing.rglob(f"*{TEMPORARY_SUFFIX}"):
            self._tell(Damage.LEFT_OVER, str(path))
        for table, rows in journal_rows(self.state).items():
            self._tell(Damage.JOURNAL, f"{table}: {rows}")

    def _judge_bytes(self) -> None:
        if self._scenario.is_upload:
            root = f"{self.prefix}{self._name}"
            found = self.stage.objects(f"{root}/" if self._scenario.is_tree else root)
        else:
            found = read_tree(self.landing / self._name)
        for path, content in self._expected.items():
            if path not in found:
                self._tell(Damage.LOST, self._key_of(path))
            elif found[path] != content:
                self._tell(Damage.WRONG, self._key_of(path))
        for path in found.keys() - self._expected.keys():
            if not path.endswith(TEMPORARY_SUFFIX):
                self._tell(Damage.WRONG, f"nobody asked for {path}")
