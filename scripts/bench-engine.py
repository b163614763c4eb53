"""Measures the evaluation engine against a server of our own on loopback.

    bench-engine.py SHIPWORTHY FAKE_SERVER FOLDER [PART ...]

PART is one of `work`, `peers`, `latency`, `turns`, `in-flight`, `growth`, `start` (default: all). The server is a process of its own
and is not counted; ours is counted whole, from its start to its end, with preparation, statistics and reports: user and
system time of the process, and the most that was resident. The work: 200 people speak 5 turns with 2 models, a
simulator plays them, a judge grades: 400 conversations, 4,400 calls, 64 of them under way at a time.

Beside FAKE_SERVER lies `bare_client`: reqwest alone, with conversations of the same size of which it keeps nothing. What it takes
says how fast the machine is, and is the least that any client can take.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

RUBRIC = """\
name: bench
version: 1
pass_threshold: 0.5
categories:
  - name: All
    criteria:
      - {id: kind, text: The assistant is kind.}
      - id: useful
        text: The assistant is useful.
        scale: {levels: {1: Useless., 2: Hardly useful., 3: Somewhat useful., 4: Useful., 5: Very useful.}}
"""
CONFIG = """\
project: bench
personas: {{spec: coaching, count: {people}, repeats: {repeats}, max_turns: {turns}}}
rubric: ./rubric.yaml
baseline: base
models:
  base: {{url: "{url}", model: base, parallel: {parallel}}}
  tuned: {{url: "{url}", model: tuned, parallel: {parallel}}}
simulator: {{url: "{url}", model: person, parallel: {parallel}}}
judge: {{url: "{url}", model: judge, parallel: {parallel}}}
"""


class Server:
    def __init__(self, program, latency_ms):
        self.process = subprocess.Popen([program, str(latency_ms)], stdout=subprocess.PIPE, text=True)
        self.root = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def stats(self):
        with urllib.request.urlopen(f"{self.root}/stats") as reply:
            return json.load(reply)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()


class Run:
    """One evaluation in a fresh folder."""

    def __init__(self, bench, server, people=200, repeats=1, turns=5, parallel=64):
        folder = bench.folder / "project"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "rubric.yaml").write_text(RUBRIC)
        url = f"{server.root}/v1"
        config = CONFIG.format(people=people, repeats=repeats, turns=turns, parallel=parallel, url=url)
        (folder / "shipworthy.yaml").write_text(config)
        server.stats()
        command = [bench.shipworthy, "eval", "--exit-zero", "--no-progress"]
        began = time.time()
        start = time.perf_counter()
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        told = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        self.wall = time.perf_counter() - start
        if os.waitstatus_to_exitcode(status) != 0:
            sys.exit(f"the evaluation failed:\n{told.decode()[-2000:]}")
        self.cpu = usage.ru_utime + usage.ru_stime
        self.resident = usage.ru_maxrss * 1024
        self.stats = server.stats()
        self.calls = self.stats["calls"]
        self.start_up = self.stats["first_call"] - began
        store = folder / ".shipworthy"
        self.stored = sum(f.stat().st_size for f in store.glob("store.db*"))
        self.cpu_ms = self.cpu / self.calls * 1e3

    def row(self, name):
        print(
            f"  {name:<34}{self.calls:>8} calls{self.cpu:>8.2f} s CPU{self.cpu_ms:>9.4f} ms/call"
            f"{self.wall:>8.2f} s{self.resident / 1e6:>7.0f} MB"
        )


class Bare:
    """The same conversations by reqwest alone."""

    def __init__(self, bench, server, conversations=400, turns=5, parallel=64):
        server.stats()
        command = [bench.bare, f"{server.root}/v1", str(conversations), str(turns), str(parallel)]
        start = time.perf_counter()
        process = subprocess.Popen(command)
        _, status, usage = os.wait4(process.pid, 0)
        self.wall = time.perf_counter() - start
        if os.waitstatus_to_exitcode(status) != 0:
            sys.exit("the bare client failed")
        self.cpu = usage.ru_utime + usage.ru_stime
        self.resident = usage.ru_maxrss * 1024
        self.stats = server.stats()
        self.calls = self.stats["calls"]
        self.cpu_ms = self.cpu / self.calls * 1e3

    row = Run.row


class Bench:
    def __init__(self, shipworthy, server, folder):
        self.shipworthy = str(Path(shipworthy).resolve())
        self.server = str(Path(server).resolve())
        self.bare = str(Path(server).resolve().with_name("bare_client"))
        self.folder = Path(folder)

    def work(self):
        print("400 conversations, 64 calls at a time, a server that answers at once")
        with Server(self.server, 0) as server:
            turns = [(Run(self, server), Bare(self, server)) for _ in range(3)]
        runs = [run for run, _ in turns]
        for run, bare in turns:
            run.row("shipworthy eval")
            bare.row("bare reqwest")
        ratios = sorted(run.cpu_ms / bare.cpu_ms for run, bare in turns)
        print(
            f"  {ratios[0]:.1f} to {ratios[-1]:.1f}x bare reqwest's CPU per call (the aim, 0.08 ms where bare reqwest takes 0.016 to 0.02: "
            "4 to 5x)"
        )
        run = runs[-1]
        stats = run.stats
        exchanged = stats["request_bytes"] + stats["reply_bytes"]
        print(f"  CPU per call {min(run.cpu_ms for run in runs):.4f} to {max(run.cpu_ms for run in runs):.4f} ms (aim 0.08)")
        print(f"  resident {max(run.resident for run in runs) / 1e6:.0f} MB (aim 60)")
        print(
            f"  store {run.stored / 1e6:.2f} MB: {run.stored / stats['reply_bytes']:.2f}x the replies' bytes (aim 1.5), "
            f"{run.stored / exchanged:.2f}x all bytes exchanged, {run.stored / stats['text_bytes']:.2f}x the words said"
        )

    def peers(self):
        print("the same work, others beside us; they are counted whole too")
        with Server(self.server, 0) as server:
            ours = Run(self, server)
            ours.row("shipworthy eval")
            python = os.environ.get("PEERS_PYTHON")
            for name in ("inspect", "openevals"):
                script = Path(__file__).parent / "bench-peers" / f"{name}_conversations.py"
                module = {"inspect": "inspect_ai"}.get(name, name)
                if not python or subprocess.run([python, "-c", f"import {module}"], stderr=subprocess.DEVNULL).returncode:
                    print(f"  {name}: not installed for PEERS_PYTHON")
                    continue
                server.stats()
                logs = self.folder / f"logs-{name}"
                shutil.rmtree(logs, ignore_errors=True)
                start = time.perf_counter()
                process = subprocess.Popen(
                    [python, script, f"{server.root}/v1", "200", "5", "64", logs],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                )
                told = process.stderr.read()
                _, status, usage = os.wait4(process.pid, 0)
                wall = time.perf_counter() - start
                if os.waitstatus_to_exitcode(status) != 0:
                    sys.exit(f"{name} failed:\n{told.decode()[-2000:]}")
                calls = server.stats()["calls"]
                cpu = usage.ru_utime + usage.ru_stime
                print(
                    f"  {name:<34}{calls:>8} calls{cpu:>8.2f} s CPU{cpu / calls * 1e3:>9.4f} ms/call"
                    f"{wall:>8.2f} s{usage.ru_maxrss * 1024 / 1e6:>7.0f} MB, {cpu / calls * 1e3 / ours.cpu_ms:.0f}x our CPU a call"
                )
        print("  promptfoo: left out; it plays people through a service of its makers only")

    def latency(self):
        print("a server that answers after 50 ms, 64 calls at a time")
        with Server(self.server, 50) as server:
            for repeats, turns in ((1, 9), (3, 3)):
                times = {"shipworthy eval": [], "bare reqwest": []}
                for _ in range(turns):
                    run, bare = Run(self, server, repeats=repeats), Bare(self, server, conversations=400 * repeats)
                    for timed, name in ((run, "shipworthy eval"), (bare, "bare reqwest")):
                        timed.row(name)
                        own = timed.stats["took_us"] / timed.calls / 1e3
                        times[name].append(timed.wall / (timed.calls * 0.050 / 64))
                        print(f"    {times[name][-1]:.3f}x; the server itself took {own:.2f} ms a call")
                for name, of in times.items():
                    of.sort()
                    print(
                        f"  {name}: {of[len(of) // 2]:.3f}x calls x latency / concurrency, {of[0]:.3f} to {of[-1]:.3f} in {turns} turns (aim 1.15)"
                    )

    def turns(self):
        print("the store by turns, 50 people")
        with Server(self.server, 0) as server:
            for turns in (5, 10, 20):
                run = Run(self, server, people=50, turns=turns)
                print(f"  {turns:>3} turns: {run.stored / 1e6:.2f} MB, {run.stored / run.stats['reply_bytes']:.2f}x the replies' bytes")

    def in_flight(self):
        print("10,000 conversations at a time, a server that answers after 3 s")
        with Server(self.server, 3000) as server:
            run = Run(self, server, people=500, repeats=10, turns=1, parallel=10000)
            bare = Bare(self, server, conversations=10000, turns=1, parallel=10000)
        run.row("shipworthy eval")
        bare.row("bare reqwest")
        most = run.stats["most_in_flight"]
        print(f"  {most} calls under way at a time, {run.resident / 1e6:.0f} MB resident (aim 600)")

    def growth(self):
        print("cost per call by the number of conversations")
        with Server(self.server, 0) as server:
            few = Run(self, server, people=200)
            few.row("400 conversations")
            many = Run(self, server, people=200, repeats=100)
            many.row("40,000 conversations")
        print(f"  {many.cpu_ms / few.cpu_ms:.3f}x the CPU per call (aim 0.9 to 1.1)")

    def start(self):
        print("from the start of the process to the first call")
        with Server(self.server, 0) as server:
            times = sorted(Run(self, server, people=15).start_up for _ in range(7))
        print(f"  15 people: median {times[3] * 1e3:.0f} ms, {times[0] * 1e3:.0f} to {times[-1] * 1e3:.0f} (aim 50)")
        with Server(self.server, 0) as server:
            times = sorted(Run(self, server).start_up for _ in range(7))
        print(f"  200 people: median {times[3] * 1e3:.0f} ms, {times[0] * 1e3:.0f} to {times[-1] * 1e3:.0f}")


def main():
    bench = Bench(*sys.argv[1:4])
    for part in sys.argv[4:] or ["work", "peers", "latency", "turns", "in-flight", "growth", "start"]:
        getattr(bench, part.replace("-", "_"))()
        print()


main()
