"""A scripted model: the Responses API on loopback, whose answers follow from the prompt alone.

A prompt says `forge:<word>`; `Script.answer` lists the words. Every answer has a usage that no other has, so that
equal sums mean equal sets of answers. Tools are called by the names under which the request offers them, which
differ between versions and models of Codex.
"""

import http.server
import json
import re
import sys
import threading

# How Codex' own prompt for a summary begins: since 0.50 or so, and before.
SUMMARISE = ("You are performing a CONTEXT CHECKPOINT COMPACTION", "You have exceeded the maximum number of tokens")
WINDOWFUL = 400_000  # more input tokens than any model's window: the next request compacts first
HIDDEN = "multi_agent_v1"  # where the agents' tools are if the request does not list them (they can be searched for)
USAGE = ("input_tokens", "cached_input_tokens", "output_tokens", "reasoning_output_tokens")


def usage_of(number):
    """The usage of the answer with this number: coprime steps, so that no two sums agree by accident."""
    return dict(zip(USAGE, (1000 + 101 * number, 200 + 13 * number, 50 + 7 * number, 10 + 3 * number)))


def on_the_wire(usage):
    """A usage in the words of the API."""
    return {
        "input_tokens": usage["input_tokens"],
        "input_tokens_details": {"cached_tokens": usage["cached_input_tokens"]},
        "output_tokens": usage["output_tokens"],
        "output_tokens_details": {"reasoning_tokens": usage["reasoning_output_tokens"]},
        "total_tokens": usage["input_tokens"] + usage["output_tokens"],
    }


class Tools:
    """The tools that a request offers, by name: (namespace or None, specification)."""

    def __init__(self, request):
        self.offered = {}
        carried = [item.get("tools", []) for item in request["input"] if item.get("type") == "additional_tools"]
        for tools in [request.get("tools", []), *carried]:
            self.add(tools, None)

    def add(self, tools, namespace):
        for tool in tools:
            if tool.get("type") == "namespace":
                self.add(tool["tools"], tool["name"])
            else:
                self.offered[tool.get("name") or tool["type"]] = (namespace, tool)

    def first(self, *names):
        return next((name for name in names if name in self.offered), None)

    def parameters(self, name):
        return self.offered.get(name, (None, {}))[1].get("parameters", {}).get("properties", {})


class Answer:
    """The items of one answer while they are put together."""

    def __init__(self, number, tools):
        self.number, self.tools, self.items = number, tools, []

    def say(self, text):
        self.add("message", "msg", role="assistant", content=[{"type": "output_text", "text": text, "annotations": []}])

    def think(self):
        self.add("reasoning", "rs", summary=[{"type": "summary_text", "text": "**Considering** the words"}])

    def add(self, kind, prefix, **fields):
        self.items.append({"type": kind, "id": f"{prefix}_{self.number}_{len(self.items)}", **fields})

    def call(self, name, arguments, namespace=None):
        namespace = self.tools.offered.get(name, (namespace,))[0]
        where = {"namespace": namespace} if namespace else {}
        self.add("function_call", "fc", call_id=self.call_id(), name=name, arguments=json.dumps(arguments), **where)

    def custom(self, name, text):
        self.add("custom_tool_call", "ctc", call_id=self.call_id(), name=name, input=text, status="completed")

    def call_id(self):
        return f"call_{self.number}_{len(self.items)}"

    def run(self, command):
        """Runs a shell command with whatever this Codex runs commands with."""
        name = self.tools.first("exec_command", "shell_command", "shell", "exec", "local_shell")
        if name == "exec_command":
            self.call(name, {"cmd": command, "yield_time_ms": 30_000})
        elif name == "exec":
            nested = json.dumps({"cmd": command, "yield_time_ms": 30_000})
            self.custom(name, f"const done = await tools.exec_command({nested}); text(done.output);")
        elif name == "shell_command":
            self.call(name, {"command": command})
        elif name == "shell":
            self.call(name, {"command": ["bash", "-c", command]})
        elif name == "local_shell":
            action = {"type": "exec", "command": ["bash", "-c", command]}
            self.add("local_shell_call", "lsh", call_id=self.call_id(), status="completed", action=action)
        else:
            raise LookupError(f"no tool that runs commands among {sorted(self.tools.offered)}")

    def patch(self, file):
        text = f"*** Begin Patch\n*** Add File: {file}\n+made by a patch\n*** End Patch\n"
        kind = self.tools.offered.get("apply_patch", (None, {}))[1].get("type")
        if kind == "custom":
            self.custom("apply_patch", text)
        elif kind == "function":
            self.call("apply_patch", {"input": text})
        elif "exec" in self.tools.offered:
            self.custom("exec", f"text(JSON.stringify(await tools.apply_patch({json.dumps(text)})));")
        else:
            self.run(f"apply_patch <<'EOF'\n{text}EOF")

    def spawn(self, prompt, forked):
        if "task_name" in self.tools.parameters("spawn_agent"):
            turns = "all" if forked else "none"
            self.call("spawn_agent", {"task_name": f"helper_{self.number}", "message": prompt, "fork_turns": turns})
        else:
            self.call("spawn_agent", {"message": prompt, "fork_context": forked}, HIDDEN)

    def wait(self, outputs):
        name = self.tools.first("wait_agent", "wait") or "wait_agent"
        ids = re.findall(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f-]{21}", json.dumps([item["output"] for item in outputs]))
        listed = self.tools.parameters(name) if name in self.tools.offered else ("targets",)
        whom = next((key for key in ("targets", "ids") if key in listed), None)
        self.call(name, {"timeout_ms": 30_000, **({whom: sorted(set(ids))} if whom else {})}, HIDDEN)


class Script:
    """Decides the answers, and keeps the truth about those that were delivered."""

    def __init__(self):
        self.lock = threading.Lock()
        self.requests = 0
        self.filled = False
        self.problems = []
        self.truth = dict.fromkeys(("model_calls", "compaction_calls", "unmetered_compactions", "tool_calls",
                                    "subagents", "interrupted", "killed", *USAGE), 0)
        self.last = None  # the usage of the last answer
        self.truth["compaction_usage"] = dict.fromkeys(USAGE, 0)
        self.truth["stopped_usage"] = dict.fromkeys(USAGE, 0)  # answers whose tool call was cut short

    def next_number(self):
        with self.lock:
            self.requests += 1
            return self.requests

    def answer(self, request, number):
        """Returns the items and the usage of the answer to a request, and whether the request compacts."""
        history, usage = request["input"], usage_of(number)
        if history[-1].get("type") == "compaction_trigger":
            return [{"type": "compaction", "encrypted_content": "c2hvcnRlcg=="}], usage, True
        if text_of(history[-1]).startswith(SUMMARISE):
            answer = Answer(number, Tools(request))
            answer.say("What was said before, in short.")
            return answer.items, usage, True
        word, since = last_word(history)
        outputs = [item for item in since if item.get("type", "").endswith("_output")]
        answer = Answer(number, Tools(request))
        step = len(outputs)
        if word == "exec" and step == 0:
            answer.think()
            answer.say("Let me look.")
            answer.run("echo out; echo err >&2; exit 3")
        elif word == "exec" and step == 1:
            answer.run("pwd")
        elif word == "patch" and step == 0:
            answer.patch(f"patched_{number}.txt")
        elif word == "parallel" and step == 0:
            for command in ("sleep 0.3; echo one", "echo two", "echo three; exit 2"):
                answer.run(command)
        elif word in ("spawn", "spawn-forked") and step == 0:
            answer.think()
            answer.spawn("A task for you: forge:exec", word == "spawn-forked")
        elif word in ("spawn", "spawn-forked") and step == 1:
            answer.wait(outputs)
        elif word == "sleep" and step == 0:
            answer.run("touch asleep; sleep 60")
        elif word == "fill" and not self.filled:
            self.filled = True
            usage["input_tokens"] += WINDOWFUL
            answer.say("That filled the window.")
        else:
            answer.think()
            answer.say(f"Answer {number}.")
        return answer.items, usage, False

    def stop(self, how):
        """Takes the last answer for one whose tool call was cut short, and its turn with it."""
        self.truth[how] += 1
        for key in USAGE:
            self.truth["stopped_usage"][key] += self.last[key]

    def delivered(self, items, usage, compacts):
        """Takes an answer that Codex has read to its end into the truth."""
        with self.lock:
            self.truth["model_calls"] += 1
            self.truth["compaction_calls"] += compacts
            self.last = usage
            for key in USAGE:
                self.truth[key] += usage[key]
                self.truth["compaction_usage"][key] += usage[key] if compacts else 0
            calls = [item for item in items if item["type"].endswith("_call")]
            self.truth["tool_calls"] += len(calls)
            self.truth["subagents"] += sum(call.get("name") == "spawn_agent" for call in calls)


def text_of(item):
    content = item.get("content") or []
    if isinstance(content, str):
        return content
    return " ".join(part.get("text") or part.get("encrypted_content") or "" for part in content)


def last_word(history):
    """The last prompt's word, and what came after it."""
    for place in range(len(history) - 1, -1, -1):
        if history[place].get("role") == "user" or history[place].get("type") == "agent_message":
            words = re.findall(r"forge:([a-z-]+)", text_of(history[place]))
            if words:
                return words[-1], history[place + 1:]
    return "plain", history


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script = None

    def log_message(self, *_):
        pass

    def reply(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def do_GET(self):
        # 426 sends those who try a web socket back to plain requests.
        wants_socket = "websocket" in (self.headers.get("Upgrade") or "").lower()
        self.reply(426 if wants_socket else 404, "application/json", b"{}")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.split("?")[0]
        if not path.endswith(("/responses", "/responses/compact")):
            return self.reply(404, "application/json", b"{}")
        try:
            self.respond(path, json.loads(body))
        except (ValueError, LookupError) as error:
            self.script.problems.append(f"{path}: {error!r}")
            self.reply(400, "application/json", json.dumps({"error": {"message": str(error)}}).encode())

    def respond(self, path, request):
        if path.endswith("/compact"):  # from 0.7x on until compaction moved into /responses; tells no usage
            kept = [item for item in request["input"] if item.get("role") == "user"]
            with self.script.lock:
                self.script.truth["unmetered_compactions"] += 1
            summary = {"type": "compaction", "encrypted_content": "c2hvcnRlcg=="}
            return self.reply(200, "application/json", json.dumps({"output": [*kept, summary]}).encode())
        number = self.script.next_number()
        items, usage, compacts = self.script.answer(request, number)
        response = {"id": f"resp_{number}"}
        events = [{"type": "response.created", "response": response}]
        events += [{"type": "response.output_item.done", "item": item} for item in items]
        events += [{"type": "response.completed", "response": {**response, "usage": on_the_wire(usage)}}]
        stream = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
        self.reply(200, "text/event-stream", stream.encode())
        self.script.delivered(items, usage, compacts)


class Server(http.server.ThreadingHTTPServer):
    """Says nothing of clients that hang up."""

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def serve(script):
    """Starts answering on a free port of the loopback; returns the server and its address."""
    handler = type("Scripted", (Handler,), {"script": script})
    server = Server(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"http://127.0.0.1:{server.server_port}/v1"
