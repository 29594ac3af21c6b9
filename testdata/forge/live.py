#!/usr/bin/env python3
"""Holds live delivery to a real Codex: `codex-trace hook` is installed, and Codex works while the worker is killed
again and again and a fifth of all requests fail. What arrived must be what one clean upload sends.

    live.py CODEX_TRACE VERSION [SCENARIO...]     a released Codex and its hooks
    live.py CODEX_TRACE latency                   50 sessions growing at once, at a local server; needs no Codex

Needs what forge.py needs.
"""

import argparse
import contextlib
import http.server
import json
import os
import random
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import forge
import script

SCENARIOS = ["plain", "exec", "resume", "spawn", "compact", "interrupt", "fork", "kill"]
KILLS = 30
GROWING, TURNS = 50, 6


class Sink:
    """Keeps the spans of OTLP/JSON by their ids, and when a turn first arrived; fails so many of 100 requests."""

    def __init__(self, percent):
        self.spans, self.arrived, self.requests, self.faults = {}, {}, 0, 0
        chance, lock, sink = random.Random(7), threading.Lock(), self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                with lock:
                    sink.requests += 1
                    fault = chance.randrange(5) if chance.randrange(100) < percent else None
                    sink.faults += fault is not None
                    if fault not in (0, 1, 2):
                        sink.keep(body)
                if fault in (0, 3):  # no answer, before or after it is kept
                    self.close_connection = True
                    return
                status = {1: 503, 2: 429}.get(fault, 200)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{" if fault == 4 else b"{}")  # half an answer
                self.close_connection = fault == 4

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.request_queue_size = 128
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}"

    def keep(self, body):
        for turn in re.findall(rb"lat-\d+-\d+", body):
            self.arrived.setdefault(turn.decode(), time.monotonic())
        for resource in json.loads(body).get("resourceSpans", []):
            for scope in resource["scopeSpans"]:
                for span in scope["spans"]:
                    self.spans[span["traceId"], span["spanId"]] = span


class User:
    """A home directory with codex-trace set up in it."""

    def __init__(self, program, home, codex_home, places):
        self.program, self.home = program, home
        self.live = home / ".local/state/codex-trace/live"
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(home), "CODEX_HOME": str(codex_home), "TZ": "UTC"}
        self.environment["SINK_KEY"] = "pylf_v1_us_0123456789"
        self.configuration = home / ".config/codex-trace"
        self.configuration.mkdir(parents=True)
        self.configure("codex-trace.toml", places)

    def configure(self, file, places):
        """Writes a file with a destination for each of some sinks; returns its path."""
        text = f"to = {json.dumps(sorted(places))}\n"
        for name, (backend, sink) in places.items():
            text += f'[destinations.{name}]\nbackend = "{backend}"\nendpoint = "{sink.address}"\n'
            text += 'protocol = "http/json"\ncompression = "none"\n'
            text += 'key = { env = "SINK_KEY" }\n' if backend == "logfire" else ""
        (self.configuration / file).write_text(text)
        return str(self.configuration / file)

    def run(self, *words, check=True, stdin=subprocess.DEVNULL):
        done = subprocess.run([self.program, *words], env=self.environment, cwd=self.home, stdin=stdin,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False, timeout=300)
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


def with_codex(arguments):
    scripted = script.Script()
    server, address = script.serve(scripted)
    places = {"spans": ("otlp", Sink(20)), "turns": ("logfire", Sink(20))}
    with tempfile.TemporaryDirectory(prefix="live-") as place:
        work, home = Path(place, "work"), Path(place, "codex-home")
        work.mkdir()
        home.mkdir()
        user = User(arguments.codex_trace, work, home, places)
        user.run("hook", "--install")
        forged = forge.Forge(arguments.program, home, work, scripted, address, [])
        events = []
        with contextlib.suppress(RuntimeError):  # a version without hooks, which has `notify`
            events = trust_hooks(forged)
        kills, done = 0, threading.Event()

        def kill():
            nonlocal kills
            chance = random.Random(11)
            while not done.wait(chance.uniform(0.05, 0.6)):
                kills += user.kill_worker()

        killer = threading.Thread(target=kill)
        killer.start()
        for scenario in arguments.scenarios:
            forged.begin()
            for prompt, how in forge.SCENARIOS[scenario]:
                forged.run(prompt, how)
        while kills < KILLS:  # one turn after the other, until it was killed often enough
            forged.begin()
            forged.run("forge:plain", ())
        done.set()
        killer.join()
        forged.begin()
        forged.run("forge:plain", ())
        user.kill_worker()
        user.run("hook", "--work", "--linger", "0s")
        waiting = user.queue()["waiting"]
        clean = {name: (backend, Sink(0)) for name, (backend, _) in places.items()}
        user.run("upload", "--config", user.configure("clean.toml", clean), "--settle", "0s", "--state-dir", "clean")
        before = {name: dict(sink.spans) for name, (_, sink) in places.items()}
        user.run("upload", "--settle", "0s")
        print(f"codex {arguments.version}: hooks {len(events)}, sessions {len(forged.rollouts())}, kills {kills}, "
              f"{waiting} sessions wait for an end")
        good = True
        for name, (backend, sink) in places.items():
            wanted = clean[name][1].spans
            missing = {key for key in wanted if before[name].get(key) != wanted[key]}
            extra, equal = set(before[name]) - set(wanted), sink.spans == wanted
            print(f"  {backend}: {len(wanted)} spans, faults {sink.faults} of {sink.requests} requests; before the last "
                  f"upload {len(missing)} spans missing, {len(extra)} extra; after it {'equal' if equal else 'DIFFERENT'}")
            # One turn was killed, and may go on.
            turns = {trace for trace, _ in missing}
            good &= equal and not extra and len(turns) <= ("kill" in arguments.scenarios) and bool(wanted)
        for line in (user.live / "log").read_text().splitlines()[-9:] if not good else []:
            print("  log:", line)
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
    sink = Sink(0)
    with tempfile.TemporaryDirectory(prefix="live-") as place:
        work, home = Path(place, "work"), Path(place, "codex-home")
        user = User(arguments.codex_trace, work, home, {"spans": ("otlp", sink)})
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
