#!/usr/bin/env python3
"""Makes real rollouts: runs a released Codex CLI against the scripted model of script.py.

    forge.py VERSION OUT_HOME SCENARIO...        e.g.  forge.py 0.169.0 /tmp/home exec spawn interrupt

Fetches the npm package @openai/codex of VERSION once (into $CODEX_TRACE_CACHE, else ~/.cache/codex-trace), runs the
scenarios with CODEX_HOME=OUT_HOME, and writes OUT_HOME/truth.json: what the model answered, which is what a converter
must find again. Where user namespaces work, Codex runs in a network that has loopback alone; elsewhere behind a proxy
that is not there. Needs Python 3.9, npm and, for the namespace, unshare (util-linux).
"""

import argparse
import contextlib
import fcntl
import itertools
import json
import os
import platform
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import script

# A scenario is a row of runs of `codex exec`: what is asked, and how.
SCENARIOS = {
    "plain": [("forge:plain", ())],
    "exec": [("forge:exec", ())],
    "patch": [("forge:patch", ())],
    "parallel": [("forge:parallel", ())],
    "resume": [("forge:exec", ()), ("forge:plain", ("resume",))],
    "spawn": [("forge:spawn", ())],
    "spawn-forked": [("forge:plain", ()), ("forge:spawn-forked", ("resume",))],
    "compact": [("forge:fill", ()), ("forge:exec", ("resume",))],
    "interrupt": [("forge:sleep", ("interrupt",)), ("forge:plain", ("resume",))],
    "interrupt-app": [("forge:sleep", ("app",)), ("forge:plain", ("resume",))],
    "kill": [("forge:sleep", ("kill",))],
    "fork": [("forge:exec", ()), ("forge:plain", ("fork",)), ("forge:exec", ("fork",)), ("forge:plain", ("resume",))],
}


def fetch(version, cache):
    """Returns the program of a version, which npm fetches if it is not in the cache."""
    home = cache / "codex" / version
    if not (home / "node_modules").is_dir():
        home.mkdir(parents=True, exist_ok=True)
        npm = ["npm", "install", "--prefix", str(home), "--ignore-scripts", "--no-audit", "--no-fund",
               "--loglevel=error", f"@openai/codex@{version}"]
        if subprocess.run(npm, stdout=subprocess.DEVNULL, check=False).returncode != 0:
            shutil.rmtree(home)
            sys.exit(f"forge: npm could not fetch @openai/codex@{version}")
    machine = {"arm64": "aarch64", "AMD64": "x86_64"}.get(platform.machine(), platform.machine())
    system = {"Darwin": "apple-darwin"}.get(platform.system(), "unknown-linux-musl")
    vendored = home.glob(f"node_modules/@openai/*/vendor/{machine}-{system}")
    programs = [path for place in vendored for path in (place / "bin/codex", place / "codex/codex") if path.is_file()]
    if not programs:
        sys.exit(f"forge: version {version} has no program for {machine}-{system}")
    return programs[0]


def alone():
    """The words that put a command into a network of its own, or none if that does not work here."""
    words = ["unshare", "--user", "--map-root-user", "--net"]
    works = shutil.which("unshare") and subprocess.run([*words, "true"], stderr=subprocess.DEVNULL, check=False)
    return words if works and works.returncode == 0 else []


def raise_loopback():
    """Sets the flags `up` and `running` of the interface `lo`."""
    get, put, up_and_running = 0x8913, 0x8914, 0x41
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = fcntl.ioctl(any_socket, get, struct.pack("16sh14x", b"lo", 0))
        flags = struct.unpack("16sh14x", request)[1] | up_and_running
        fcntl.ioctl(any_socket, put, struct.pack("16sh14x", b"lo", flags))


class Forge:
    """One home in the making."""

    def __init__(self, program, home, work, scripted, address, options):
        self.program, self.home, self.work, self.options = program, home, work, options
        self.scripted, self.address = scripted, address
        self.before, self.thread, self.forks = set(), None, 0
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": str(work), "CODEX_HOME": str(home), "LANG": "C.UTF-8", "TZ": "UTC",
            "OPENAI_API_KEY": "none", "CODEX_API_KEY": "none", "OPENAI_BASE_URL": address,
            "HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1",
        }

    def rollouts(self):
        return set(self.home.glob("sessions/**/rollout-*.jsonl"))

    def begin(self):
        """Begins another conversation."""
        self.before, self.thread = self.rollouts(), None

    def words(self, prompt, how):
        """The command that asks something."""
        words = [str(self.program), "exec", "--json", "--skip-git-repo-check",
                 "--dangerously-bypass-approvals-and-sandbox", "-c", f'openai_base_url="{self.address}"', *self.options]
        if "review" in how:
            return [*words, "review", "--uncommitted"]
        if "resume" in how:
            words += ["resume", self.thread]  # 0.44 takes no prompt with --last
        return [*words, prompt]

    def run(self, prompt, how):
        """Runs `codex exec` once; raises if it takes too long or fails unasked."""
        if "app" in how:
            return self.interrupt_in_app_server(prompt)
        if "fork" in how:
            return self.run_in_fork(prompt)
        asleep = self.work / "asleep"
        asleep.unlink(missing_ok=True)
        with subprocess.Popen(self.words(prompt, how), cwd=self.work, env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as codex:
            try:
                if "interrupt" in how or "kill" in how:
                    self.until(asleep.exists)
                    time.sleep(1)  # let it write down that the command started
                    answered = self.scripted.last
                    codex.send_signal(signal.SIGINT if "interrupt" in how else signal.SIGKILL)
                said, _ = codex.communicate(timeout=90)
            except subprocess.TimeoutExpired:
                said, _ = codex.communicate(codex.kill())
                raise RuntimeError(f"`{prompt}` took too long\n{said.decode()}") from None
            finally:
                if codex.poll() is None:
                    codex.kill()
        made = self.rollouts() - self.before
        # A version that passes the signal on to the command alone asks on, and has not been stopped.
        if ("interrupt" in how or "kill" in how) and self.scripted.last is answered:
            self.scripted.stop("killed" if "kill" in how else "interrupted")
        self.thread = self.thread or min((path.stem[-36:] for path in made), default=None)
        if codex.returncode != 0 and "interrupt" not in how and "kill" not in how:
            raise RuntimeError(f"`{prompt}` ended with {codex.returncode}\n{said.decode()}")

    def interrupt_in_app_server(self, prompt):
        """Interrupts a turn by request. In old versions a signal reaches the command too, and which end is written
        is a race. Speaks the protocol that `codex app-server` had up to 0.98 or so."""
        with self.app_server() as (send, call, _):
            made = call("newConversation", approvalPolicy="never", sandbox="danger-full-access")
            self.thread = made["conversationId"]
            said = [{"type": "text", "data": {"text": prompt}}]
            call("sendUserMessage", conversationId=self.thread, items=said)
            self.until((self.work / "asleep").exists)
            time.sleep(1)
            send(id="last", method="interruptConversation", params={"conversationId": self.thread})
            time.sleep(2)  # it is answered to listeners only
            self.scripted.stop("interrupted")

    def run_in_fork(self, prompt):
        """Forks the conversation, asks in the fork, and goes on with the fork. Speaks the protocol that
        `codex app-server` has had since 0.88 or so."""
        with self.app_server() as (_, call, receive):
            forked = call("thread/fork", threadId=self.thread, approvalPolicy="never", sandbox="danger-full-access")
            self.thread = forked["thread"]["id"]
            call("turn/start", threadId=self.thread, input=[{"type": "text", "text": prompt}])
            receive(lambda it: it.get("method") == "turn/completed" and it["params"]["threadId"] == self.thread)
            self.forks += 1

    @contextlib.contextmanager
    def app_server(self):
        """Runs `codex app-server`; gives what sends a message, what calls a method, and what awaits a message."""
        address = ("-c", f'openai_base_url="{self.address}"')
        words = [str(self.program), "app-server", *address, *self.options]
        numbers = itertools.count(1)
        with subprocess.Popen(words, cwd=self.work, env=self.environment, text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True) as codex:
            watchdog = threading.Timer(90, codex.kill)
            watchdog.start()

            def send(**message):
                print(json.dumps(message), file=codex.stdin, flush=True)

            def receive(wanted):
                for line in codex.stdout:
                    message = json.loads(line)
                    if wanted(message):
                        return message
                raise RuntimeError("`codex app-server` ended before it answered")

            def call(method, **parameters):
                number = next(numbers)
                send(id=number, method=method, params=parameters)
                answer = receive(lambda message: message.get("id") == number and "method" not in message)
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]

            try:
                call("initialize", clientInfo={"name": "forge", "version": "1"})
                send(method="initialized")
                yield send, call, receive
                codex.stdin.close()
                codex.wait()
            finally:
                watchdog.cancel()
                codex.kill()

    def migrate(self, program):
        """Lets a later version rewrite all rollouts as paginated ones; raises if it leaves one as it was."""
        words = [str(program), "migrate-rollouts", "--apply", "--json"]
        done = subprocess.run(words, cwd=self.work, env=self.environment, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=90, check=False)
        first_lines = [path.read_text().split("\n", 1)[0] for path in self.rollouts()]
        modes = [json.loads(line)["payload"].get("history_mode") for line in first_lines]
        if done.returncode != 0 or set(modes) != {"paginated"}:
            raise RuntimeError(f"the migration ended with {done.returncode} and left {modes}\n{done.stdout.decode()}")

    @staticmethod
    def until(happened, seconds=60):
        end = time.monotonic() + seconds
        while not happened():
            if time.monotonic() > end:
                raise RuntimeError("the command that should sleep was not started")
            time.sleep(0.05)


def inside(arguments):
    """Runs the scenarios: in the namespace, if there is one."""
    if arguments.alone:
        raise_loopback()
    scripted = script.Script()
    server, address = script.serve(scripted)
    with tempfile.TemporaryDirectory(prefix="forge-") as work:
        options = [word for option in arguments.config for word in ("-c", option)]
        options += ["-m", arguments.model] if arguments.model else []
        forge = Forge(arguments.program, arguments.home, Path(work), scripted, address, options)
        try:
            for scenario in arguments.scenarios:
                forge.begin()
                for prompt, how in SCENARIOS[scenario]:
                    forge.run(prompt, how)
            if arguments.migrator:
                forge.migrate(arguments.migrator)
                forge.program = arguments.migrator
                forge.run("forge:exec", ("resume",))
        except RuntimeError as error:
            sys.exit(f"forge: {arguments.version}: {error}\n" + "\n".join(scripted.problems))
    server.shutdown()
    if scripted.problems:
        sys.exit("forge: " + "\n".join(scripted.problems))
    truth = {
        "codex": arguments.version, "migrated": arguments.migrate, "scenarios": arguments.scenarios,
        **scripted.truth, "sessions": len(arguments.scenarios) + forge.forks,
        "prompts": sum(len(SCENARIOS[scenario]) for scenario in arguments.scenarios) + bool(arguments.migrate),
        "files": len(forge.rollouts()),
    }
    (arguments.home / "truth.json").write_text(json.dumps(truth, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", metavar="VERSION")
    parser.add_argument("home", metavar="OUT_HOME", type=Path)
    parser.add_argument("scenarios", metavar="SCENARIO", nargs="+", choices=sorted(SCENARIOS),
                        help=", ".join(sorted(SCENARIOS)))
    parser.add_argument("-m", "--model", help="the model to ask for (which tools there are depends on it)")
    parser.add_argument("-c", "--config", action="append", default=[], help="passed on to codex")
    parser.add_argument("--migrate", metavar="VERSION", help="a later version, which migrates the home and goes on")
    parser.add_argument("--program", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--migrator", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.home = arguments.home.resolve()
    if arguments.program:
        return inside(arguments)
    cache = os.environ.get("CODEX_TRACE_CACHE")
    cache = Path(cache) if cache else Path.home() / ".cache/codex-trace"
    programs = ["--program", str(fetch(arguments.version, cache))]
    if arguments.migrate:
        programs += ["--migrator", str(fetch(arguments.migrate, cache))]
    if arguments.home.exists() and any(arguments.home.iterdir()):
        sys.exit(f"forge: {arguments.home} is not empty")
    arguments.home.mkdir(parents=True, exist_ok=True)
    unshare = alone()
    again = [sys.executable, __file__, *sys.argv[1:], *programs, *(["--alone"] if unshare else [])]
    return subprocess.run([*unshare, *again], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
