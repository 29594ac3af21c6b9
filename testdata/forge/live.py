#!/usr/bin/env python3
"""Holds live delivery to a real Codex: `codex-trace hook` is installed, and Codex works while it and the worker are
killed again and again, and a fifth of all requests fail, at each of six backends. What arrived must be what one clean
upload sends.

    live.py CODEX_TRACE VERSION [SCENARIO...]     a released Codex and its hooks
    live.py CODEX_TRACE latency                   50 sessions growing at once, at a local server; needs no Codex

Needs what forge.py needs.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import forge
import receivers
import script

SCENARIOS = ["plain", "exec", "resume", "spawn", "compact", "interrupt", "fork", "review", "kill"]
KILLS = 30  # of Codex, and of the worker
QUIET = 20  # seconds, after which Codex is taken for gone
RESUMED = 3  # killed turns whose session goes on after they were sent
GROWING, TURNS = 50, 6


class User:
    """A home directory with codex-trace set up in it."""

    def __init__(self, program, home, codex_home, places):
        self.program, self.home = program, home
        self.live = home / ".local/state/codex-trace/live"
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "CODEX_HOME": str(codex_home), "TZ": "UTC"}
        self.environment["SINK_KEY"] = "pylf_v1_us_0123456789"
        self.environment["BRAINTRUST_KEY"] = "sk-test-0123456789"
        self.environment["LANGSMITH_KEY"] = "lsv2_pt_secret_0123456789"
        self.configuration = home / ".config/codex-trace"
        self.configuration.mkdir(parents=True)
        self.configure("codex-trace.toml", places)

    def configure(self, file, places):
        """Writes a file with a destination for each of some receivers; returns its path."""
        tables = [place.table(place.backend) for place in places]
        text = "\n".join([f"to = {json.dumps([place.backend for place in places])}", *tables])
        (self.configuration / file).write_text(text)
        return str(self.configuration / file)

    def run(self, *words, check=True, stdin=subprocess.DEVNULL):
        done = subprocess.run([self.program, *words], env=self.environment, cwd=self.home, stdin=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, timeout=900)
        if check and done.returncode not in (0, 1):
            raise RuntimeError(f"{words} ended with {done.returncode}\n{done.stderr}")
        return done

    def queue(self):
        lines = map(json.loads, self.run("status", "--json").stdout.splitlines())
        return next((line for line in lines if line.get("type") == "queue"), {"waiting": 0, "working": False})

    def worker(self):
        """The process id of the worker, if one runs."""
        with contextlib.suppress(OSError, ValueError):
            pid = int((self.live / "worker.lock").read_text())
            if b"--work" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return pid
        return None

    def kill_worker(self):
        pid = self.worker()
        if pid:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return bool(pid)


def trust_hooks(forged):
    """Lets Codex run the hooks of its config.toml, as a person would by confirming them; returns their events."""
    config = forged.home / "config.toml"
    with forged.app_server() as (_, call, _receive):
        listed = call("hooks/list", cwds=[str(forged.work)])
    hooks = [hook for entry in listed["data"] for hook in entry["hooks"]]
    with config.open("a") as out:
        for hook in hooks:
            out.write(f'\n[hooks.state.{json.dumps(hook["key"])}]\ntrusted_hash = "{hook["currentHash"]}"\n')
    return [hook["eventName"] for hook in hooks]


def run_and_kill(forged, chance):
    """Begins or goes on with a conversation, and kills Codex at whatever moment; returns whether it was not done."""
    resume = ("resume",) if forged.thread and chance.random() < 0.4 else ()
    if not resume:
        forged.begin()
    prompt = chance.choice(["plain", "exec", "patch", "parallel", "spawn", "sleep"])
    # What it started may outlive it, and would hold a pipe.
    with subprocess.Popen(forged.words(f"forge:{prompt}", resume), cwd=forged.work, env=forged.environment,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          start_new_session=True) as codex:
        time.sleep(chance.uniform(0.2, 3))
        killed = codex.poll() is None
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if chance.random() < 0.5 else os.kill)(codex.pid, signal.SIGKILL)
    made = forged.rollouts() - forged.before
    forged.thread = forged.thread or min((path.stem[-36:] for path in made), default=None)
    return killed


def kill_and_go_on(forged):
    """Kills Codex in a turn, lets that be sent, and goes on with the session."""
    forged.begin()
    forged.run("forge:sleep", ("kill",))
    thread = forged.thread
    time.sleep(QUIET + 1)
    forged.begin()
    forged.run("forge:plain", ())
    time.sleep(3)
    forged.thread = thread
    forged.run("forge:exec", ("resume",))


def work(forged, user, scenarios):
    """Lets Codex work while the worker is killed; returns how often that and Codex were."""
    kills, codex_kills, done = 0, 0, threading.Event()

    def kill():
        nonlocal kills
        chance = random.Random(11)
        while not done.wait(chance.uniform(0.1, 3)):
            kills += user.kill_worker()

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for scenario in scenarios:
            forged.begin()
            for prompt, how in forge.SCENARIOS.get(scenario, [("", (scenario,))]):
                forged.run(prompt, how)
        for _ in range(RESUMED if "kill" in scenarios else 0):
            kill_and_go_on(forged)
        chance = random.Random(13)
        while codex_kills < KILLS or kills < KILLS:
            codex_kills += run_and_kill(forged, chance)
    finally:
        done.set()
        killer.join()
    return kills, codex_kills


def compare(live, clean):
    """What one receiver lacks of another, and what it has that is not there."""
    missing = {key for key in clean.rows if live.rows.get(key) != clean.rows[key]}
    return missing, set(live.rows) - set(clean.rows)


def with_codex(arguments):
    scripted = script.Script()
    server, address = script.serve(scripted)
    places = [receiver(20) for receiver in receivers.ALL]
    with tempfile.TemporaryDirectory(prefix="live-") as place:
        directory, home = Path(place, "work"), Path(place, "codex-home")
        directory.mkdir()
        home.mkdir()
        subprocess.run(["git", "init", "--quiet", str(directory)], check=True)
        user = User(arguments.codex_trace, directory, home, places)
        user.run("hook", "--install")
        forged = forge.Forge(arguments.program, home, directory, scripted, address, [])
        events = []
        with contextlib.suppress(RuntimeError):  # a version without hooks, which has `notify`
            events = trust_hooks(forged)
        kills, codex_kills = work(forged, user, arguments.scenarios)
        # The last one is killed, too, and a call of whatever session finds that out.
        user.run("hook", json.dumps({"hook_event_name": "SessionStart"}))
        time.sleep(1)
        user.kill_worker()
        said = user.run("hook", "--work", "--linger", "0s").stderr
        waiting = user.queue()["waiting"]
        before = [dict(place.rows) for place in places]
        clean = [type(place)() for place in places]
        user.run("upload", "--config", user.configure("clean.toml", clean), "--settle", "0s", "--state-dir", "clean")
        print(f"codex {arguments.version}: hooks {len(events)}, sessions {len(forged.rollouts())}, kills of Codex "
              f"{codex_kills}, of the worker {kills}, {waiting} sessions wait")
        good = waiting == 0
        for live, wanted in zip(places, clean):
            missing, extra = compare(live, wanted)
            print(f"  {live.backend}: {len(wanted.rows)} rows, faults {sum(live.faults.values())} of {live.requests} requests "
                  f"in {len(live.faults)} ways; {len(missing)} missing or other, {len(extra)} extra")
            good &= not missing and not extra and bool(wanted.rows)
            for key in sorted(map(str, missing | extra))[:3]:
                print("    ", key[:200])
        user.run("upload", "--settle", "0s")
        again = [place.backend for place, rows in zip(places, before) if place.rows != rows]
        print(f"  another upload changes {again or 'nothing'}")
        good &= not again
        log = (user.live / "log").read_text() + said
        for line in log.splitlines()[-30:] if not good else []:
            print("  log:", line)
        if not good and os.environ.get("KEEP"):
            shutil.copytree(place, os.environ["KEEP"], dirs_exist_ok=True)
        server.shutdown()
        return 0 if good else 1


HEAD = ('{"timestamp":"2026-11-29T10:00:00.000Z","type":"session_meta","payload":{"id":"%s","timestamp":'
        '"2026-11-29T10:00:00.000Z","cwd":"/w","originator":"codex_exec","cli_version":"0.171.0","source":"exec"}}\n')
BEGIN = ('{"timestamp":"%s","type":"event_msg","payload":{"type":"task_started","turn_id":"%s"}}\n'
         '{"timestamp":"%s","type":"response_item","payload":{"type":"message","role":"user","content":'
         '[{"type":"input_text","text":"do %s"}]}}\n')
END = ('{"timestamp":"%s","type":"response_item","payload":{"type":"message","role":"assistant","content":'
       '[{"type":"output_text","text":"' + "done " * 400 + '"}]}}\n'
       '{"timestamp":"%s","type":"event_msg","payload":{"type":"task_complete","turn_id":"%s"}}\n')


def cpu(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def idle(pid, seconds=10):
    before = cpu(pid)
    time.sleep(seconds)
    return 100 * (cpu(pid) - before) / seconds


def latency(arguments):
    sink = receivers.Spans()
    with tempfile.TemporaryDirectory(prefix="live-") as place:
        work, home = Path(place, "work"), Path(place, "codex-home")
        user = User(arguments.codex_trace, work, home, [sink])
        day = home / "sessions/2026/11/29"
        day.mkdir(parents=True)
        ended, calls, lock = {}, [], threading.Lock()

        def grow(nth):
            thread = f"01a228bd-4f88-7d03-8d21-{nth:012}"
            path = day / f"rollout-2026-11-29T10-00-00-{thread}.jsonl"
            chance = random.Random(nth)
            path.write_text(HEAD % thread)
            for turn in range(TURNS):
                name, now = f"lat-{nth}-{turn}", time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())
                with path.open("a") as file:
                    file.write(BEGIN % (now, name, now, name))
                time.sleep(chance.uniform(2, 12))
                payload = json.dumps({"session_id": thread, "hook_event_name": "Stop", "turn_id": name})
                begun = time.monotonic()
                said = subprocess.run([user.program, "hook"], input=payload, text=True, env=user.environment,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True).stdout
                assert said == "", said
                with lock:
                    calls.append(time.monotonic() - begun)
                with path.open("a") as file:
                    file.write(END % (now, now, name))
                ended[name] = time.monotonic()

        threads = [threading.Thread(target=grow, args=(nth,)) for nth in range(GROWING)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        limit = time.monotonic() + 60
        while len(sink.arrived) < len(ended) and time.monotonic() < limit:
            time.sleep(0.1)
        waits = sorted(sink.arrived[name] - at for name, at in ended.items() if name in sink.arrived)
        at = lambda share: waits[min(len(waits) - 1, int(share * len(waits)))]
        pid = user.worker()
        of_worker = f"{idle(pid):.2f} %" if pid else "no worker"
        watch = subprocess.Popen([user.program, "upload", "--watch", "--quiet"], env=user.environment, cwd=work,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(3)
        of_watch = idle(watch.pid)
        watch.terminate()
        code = watch.wait(20)
        print(f"{len(waits)} of {len(ended)} turns of {GROWING} sessions: end of turn to acknowledgement median "
              f"{at(0.5):.2f} s, p95 {at(0.95):.2f} s, longest {waits[-1]:.2f} s; a call takes median "
              f"{1000 * statistics.median(calls):.0f} ms under that load; {sink.requests} requests; idle CPU of the "
              f"worker {of_worker}, of --watch {of_watch:.2f} % of a core (which ended with {code})")
        user.kill_worker()
        quiet = []
        for nth in range(60):
            payload = json.dumps({"session_id": f"01a228bd-4f88-7d03-8d21-{nth % 5:012}", "hook_event_name": "Stop"})
            begun = time.monotonic()
            subprocess.run([user.program, "hook"], input=payload, text=True, env=user.environment, check=True)
            quiet.append(1000 * (time.monotonic() - begun))
            time.sleep(0.1)
        print(f"a call with nothing else to do: median {statistics.median(quiet):.1f} ms, longest {max(quiet):.1f} ms")
        user.kill_worker()
        return 0 if len(waits) == len(ended) and at(0.95) <= 2 else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("codex_trace", metavar="CODEX_TRACE", type=lambda it: str(Path(it).resolve()))
    parser.add_argument("version", metavar="VERSION")
    parser.add_argument("scenarios", metavar="SCENARIO", nargs="*")
    parser.add_argument("--program", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.version == "latency":
        return latency(arguments)
    arguments.scenarios = arguments.scenarios or SCENARIOS
    if arguments.program:
        if arguments.alone:
            forge.raise_loopback()
        return with_codex(arguments)
    cache = os.environ.get("CODEX_TRACE_CACHE")
    program = forge.fetch(arguments.version, Path(cache) if cache else Path.home() / ".cache/codex-trace")
    unshare = forge.alone()
    again = [sys.executable, __file__, *sys.argv[1:], "--program", str(program), *(["--alone"] if unshare else [])]
    return subprocess.run([*unshare, *again], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
