"""The order of one run: each part measures, adds its figures, and names what it could not measure."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gateway import latency, memory, rivals, saturate, stored, with_million
from benchmarks.gateway.processes import Upstream, cores
from benchmarks.gateway.saturate import Saturation
from benchmarks.gateway.served import GatewayProcess
from benchmarks.intervals import TooFew, quotient
from benchmarks.load import canned
from benchmarks.load.client import Silent
from benchmarks.report import ControlFailed, Figure, Report, figure

PARTS = ("speed", "latency", "memory", "ingest", "million", "peers")


@dataclass(frozen=True)
class Sizes:
    """How long each part measures (seconds) and how many calls it makes."""

    direct: float
    calls: float
    masked: float
    streams: float
    latency: float
    memory: memory.Plan
    ingest: int
    million: int
    peer: float

    @classmethod
    def full(cls) -> Sizes:
        """The sizes that the numbers are stated for."""
        return cls(4, 20, 12, 12, 60, memory.Plan.full(), 100_000, 1_000_000, 10)

    @classmethod
    def quick(cls) -> Sizes:
        """The same measurements within 50 seconds; what needs a million stored calls is left out."""
        return cls(1.2, 4, 2.5, 4, 5, memory.Plan.quick(), 12_000, 0, 3)


class Run:
    """One run over one upstream. The load stays on the last core, the measured process on the first."""

    def __init__(self, report: Report, folder: Path, sizes: Sizes, seed: int) -> None:
        self._report = report
        self._folder = folder
        self._sizes = sizes
        self._seed = seed
        self._core, self._load_core = cores()
        self._rps: Saturation | None = None
        self._masked_calls = 0

    def all(self, only: Sequence[str], peers: bool, peers_dir: Path | None) -> None:
        """Run all parts, or those named. Raises `ControlFailed`."""
        parts = [part for part in PARTS if (not only or part in only) and (part != "peers" or peers)]
        os.sched_setaffinity(0, {self._load_core})
        try:
            with Upstream(self._load_core, self._folder) as upstream:
                if {"speed", "latency"} & set(parts):
                    self._speed_and_latency(upstream, parts)
                if "memory" in parts:
                    self._memory(upstream)
                if "million" in parts:
                    self._million(upstream)
                if "peers" in parts:
                    self._peers(upstream, peers_dir or self._folder / "peers")
        except (Silent, TooFew) as error:
            raise ControlFailed(f"not enough answers: {error}") from error
        if "ingest" in parts:
            self._ingest()
        if not peers:
            for name in rivals.PEERS:
                self._report.miss(f"rps_vs_{name}", "measured with --peers")

    def _speed_and_latency(self, upstream: Upstream, parts: Sequence[str]) -> None:
        with GatewayProcess(upstream.base_url, self._core, self._folder / "speed") as gateway:
            if "speed" in parts:
                self._speed(upstream, gateway)
            if "latency" in parts:
                self._latency(upstream, gateway)
        self._check_recorded(gateway)

    def _speed(self, upstream: Upstream, gateway: GatewayProcess) -> None:
        sizes, seed, report, target, child = self._sizes, self._seed, self._report, gateway.target, gateway.child
        load = saturate.direct(upstream, sizes.direct, seed)
        plain = self._rps = saturate.saturated(target, child, sizes.calls, seed)
        after = saturate.direct(upstream, sizes.direct, seed)
        load = max(load, after, key=lambda seen: seen.rps)
        beside = {"direct": load.cpu_us}
        report.add(figure("cpu_us_per_request", "us", plain.cpu_us, beside=beside, note=f"{plain.calls} calls"))
        masked = saturate.saturated(target, child, sizes.masked, seed, masked=True)
        self._masked_calls = masked.calls
        note = f"{masked.calls} calls, four items masked in each"
        report.add(figure("cpu_us_per_request_masked", "us", masked.cpu_us, note=note))
        share = f"the gateway had {plain.busy:.0%} of its core"
        report.add(figure("rps_one_core", "1/s", plain.rps, beside={"direct": load.rps}, note=share))
        times = load.rps / plain.rps.value
        note = f"client and upstream alone on their core: {times:.1f} times the gateway"
        report.add(Figure("direct_rps", load.rps, "1/s", note=note))
        saturate.refuse_slow_load(load, plain.rps.value)
        paced = saturate.streamed(target, child, sizes.streams, seed)
        child.settle()
        burst = saturate.streamed(target, child, sizes.streams / 4, seed, model=canned.CHAT_LONG)
        note = f"{paced.chunks} chunks in streams of {canned.STREAM_CHUNKS}, the call's share included, {paced.alone:.0%} came alone"
        beside = {"unpaced_10k": burst.cpu_us.value}
        report.add(figure("cpu_us_per_chunk", "us", paced.cpu_us, beside=beside, note=note))

    def _latency(self, upstream: Upstream, gateway: GatewayProcess) -> None:
        gateway.child.settle()
        before = gateway.child.waited_seconds()
        found = latency.added(upstream.target, gateway.target, self._sizes.latency, self._seed)
        waited = (gateway.child.waited_seconds() - before) / self._sizes.latency
        # What others do on the machine shows here: on a quiet one the gateway waits well below one per cent.
        note = f"{latency.RATE:.0f} a second, open loop; the gateway waited for its core {waited:.1%} of the time"
        for share, name in ((0.5, "added_p50_ms"), (0.99, "added_p99_ms")):
            one = found[share]
            beside = {"direct": one.direct_ms, "through": one.through_ms}
            self._report.add(figure(name, "ms", one.ms, beside=beside, note=note))
        first = latency.added_to_first_chunk(upstream.target, gateway.target, self._sizes.latency / 3, self._seed)
        beside = {"direct": first.direct_ms, "through": first.through_ms}
        self._report.add(figure("added_first_byte_p50_ms", "ms", first.ms, beside=beside, note="streams"))

    def _check_recorded(self, gateway: GatewayProcess) -> None:
        kept = stored.recorded(gateway.spool)
        made = (self._rps.calls if self._rps else 0) + self._masked_calls
        if kept.ok < made or kept.twice or kept.masked < self._masked_calls:
            raise ControlFailed(
                f"the spool holds {kept.ok} calls that ended well ({kept.twice} twice, {kept.masked} with four places "
                f"masked); at least {made} were answered and {self._masked_calls} had four to mask"
            )

    def _memory(self, upstream: Upstream) -> None:
        plan = self._sizes.memory
        with GatewayProcess(upstream.base_url, self._core, self._folder / "memory") as gateway:
            seen = memory.remembered(gateway.target, gateway.child, plan, self._seed)
        beside = {"at_start": seen.mb_before, "with_streams": seen.mb_with_streams}
        note = f"after {seen.calls} calls with {seen.streams} open streams in between"
        if seen.calls >= memory.Plan.full().calls:
            self._report.add(Figure("rss_mb_after_200k", seen.mb, "MB", n=seen.calls, beside=beside, note=note))
        else:
            self._report.miss("rss_mb_after_200k", f"only {seen.calls} calls were made in the time; see rss_mb")
            self._report.add(Figure("rss_mb", seen.mb, "MB", n=seen.calls, beside=beside, note=note))
        self._report.add(figure("rss_slope_kb_per_10k", "kB", seen.slope_kb, note="over the calls after the streams"))

    def _ingest(self) -> None:
        seen = stored.ingested(self._folder / "ingest", self._sizes.ingest, self._seed)
        beside = {"calls": seen.calls / seen.seconds}
        note = f"{seen.calls} calls, a begin and a finish record each, with content"
        self._report.add(figure("ingest_per_s", "1/s", seen.records_per_s, beside=beside, note=note))

    def _million(self, upstream: Upstream) -> None:
        names = ("calls_1m_cpu_ratio", "calls_1m_rps_ratio", "analytics_1m_ms_max")
        calls = self._sizes.million
        if not calls:
            for name in names:
                self._report.miss(name, "--quick stores no million calls")
            return
        folder = self._folder / "million"
        seconds = stored.load_month(folder / "var", calls, self._seed)
        places = with_million.Places(upstream, self._core, self._load_core, self._folder)
        self._attempt(names[:2], lambda: self._million_served(places, folder))
        self._attempt(names[2:], lambda: self._million_analysed(folder, seconds))

    def _million_served(self, places: with_million.Places, folder: Path) -> None:
        full, empty = with_million.compared(places, folder, self._sizes.masked, self._seed)
        beside = {"million": full.cpu_us.value, "empty": empty.cpu_us.value}
        note = "worker ingesting beside; above 1: slower with a million calls stored"
        self._report.add(
            figure("calls_1m_cpu_ratio", "", quotient(full.cpu_us, empty.cpu_us), beside=beside, note=note)
        )
        beside = {"million": full.rps.value, "empty": empty.rps.value}
        note = "below 1: slower with a million calls stored"
        self._report.add(figure("calls_1m_rps_ratio", "", quotient(full.rps, empty.rps), beside=beside, note=note))

    def _million_analysed(self, folder: Path, seconds: float) -> None:
        took = stored.analytics_ms(folder / "var")
        note = f"{self._sizes.million} calls, stored in {seconds:.0f} s"
        self._report.add(Figure("analytics_1m_ms_max", max(took.values()), "ms", n=len(took), beside=took, note=note))

    def _attempt(self, names: Sequence[str], part: Callable[[], None]) -> None:
        try:
            part()
        except (ControlFailed, NotImplementedError, ImportError) as error:
            for name in names:
                self._report.miss(name, str(error) or type(error).__name__)

    def _peers(self, upstream: Upstream, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, make in rivals.PEERS.items():
            try:
                peer = make(upstream.base_url, self._core, folder)
                ours, theirs = self._beside(upstream, peer)
            except (rivals.NotInstalled, ControlFailed, Silent, ValueError) as error:
                self._report.miss(f"rps_vs_{name}", " ".join(str(error).split())[:300])
                continue
            times = quotient(ours.rps, theirs.rps)
            beside = {
                "ours": ours.rps.value,
                name: theirs.rps.value,
                "cpu_times": theirs.cpu_us.value / ours.cpu_us.value,
                f"{name}_cpu_us": theirs.cpu_us.value,
            }
            note = f"{peer.version}; of the core, {ours.busy:.0%} and {theirs.busy:.0%}"
            self._report.add(figure(f"rps_vs_{name}", "times", times, beside=beside, note=note))

    def _beside(self, upstream: Upstream, peer: rivals.Peer) -> tuple[Saturation, Saturation]:
        """Measure the peer between two measurements of this gateway, since the machine's pace drifts."""
        seconds, seed = self._sizes.peer, self._seed
        folder = self._folder / f"beside-{peer.name}"
        with peer.child, GatewayProcess(upstream.base_url, self._core, folder) as gateway:
            peer = rivals.started(peer)
            before = saturate.saturated(gateway.target, gateway.child, seconds / 2, seed)
            theirs = saturate.saturated(peer.target, peer.child, seconds, seed)
            after = saturate.saturated(gateway.target, gateway.child, seconds / 2, seed)
        return saturate.pooled(before, after), theirs
