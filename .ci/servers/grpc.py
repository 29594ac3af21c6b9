"""A server of gRPC for kills.py, as far as OTLP needs it: unary calls, gzip, and answers that are spoilt on purpose.

The standard library has no HTTP/2. Header blocks of requests are not decoded: a server is for one signal, and a message
says itself whether it is compressed. Those of answers are written as literals.
"""
import gzip
import socket
import struct
import threading
import time

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM = ACK = 1
END_HEADERS, PADDED, PRIORITY = 4, 8, 32
REFUSED_STREAM, CANCEL = 7, 8
WINDOW = 2**31 - 1
# Status{code: 8, details: [Any{RetryInfo{Duration{1 ms}}}]}
SOON = "CAgaMgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIGCgQQwIQ9"
OVERSIZE = 64 << 10  # messages above this may be refused as too large, in bytes
# `stored…`: the message is kept, whatever the client hears of it.
FAULTS = ["unavailable", "exhausted", "deadline", "refused", "reset", "dropped", "goaway before", "oversized", "slow",
          "stored, goaway", "stored, reset", "stored, half", "stored, no status", "stored, dropped", "stored, partial",
          "stored, warned"]


def headers(*pairs):
    """Encodes a header block: literals without indexing, names and values as they are."""
    block = b""
    for name, value in pairs:
        block += b"\0"
        for text in (name.encode(), str(value).encode()):
            # Below 127 a length is one byte, above it is continued.
            rest = len(text) - 127
            block += bytes([len(text)]) if rest < 0 else bytes([127, rest & 127 | 128, rest >> 7])
            block += text
    return block


class Connection:
    def __init__(self, sock, store, path, dice, rate):
        self.sock, self.store, self.path, self.dice, self.rate = sock, store, path, dice, rate
        self.file = sock.makefile("rb")
        self.bodies, self.ended = {}, False

    def read(self, size):
        data = self.file.read(size)
        if len(data) < size:
            raise ConnectionError("the client is gone")
        return data

    def send(self, kind, flags, stream, payload=b""):
        self.sock.sendall(struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload)

    def serve(self):
        if self.read(len(PREFACE)) != PREFACE:
            return
        # No table of headers, and windows that are never full.
        self.send(SETTINGS, 0, 0, struct.pack(">HIHI", 1, 0, 4, WINDOW))
        self.send(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW - 65_535))
        while not self.ended:
            head = self.read(9)
            size, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            stream = int.from_bytes(head[5:], "big") & WINDOW
            payload = self.read(size)
            if kind == SETTINGS and not flags & ACK:
                self.send(SETTINGS, ACK, 0)
            elif kind == PING and not flags & ACK:
                self.send(PING, ACK, 0, payload)
            elif kind == HEADERS:
                self.bodies[stream] = b""
            elif kind == RST_STREAM:
                self.bodies.pop(stream, None)
            elif kind == DATA and stream in self.bodies:
                if flags & PADDED:
                    payload = payload[1:len(payload) - payload[0]]
                self.bodies[stream] += payload
                # What was read is no longer in the connection's window.
                if size:
                    self.send(WINDOW_UPDATE, 0, 0, struct.pack(">I", size))
                if flags & END_STREAM:
                    self.call(stream, self.bodies.pop(stream))

    def call(self, stream, frame):
        packed, message = frame[0], frame[5:]
        if packed:
            message = gzip.decompress(message)
        with self.store.lock:
            fault = self.dice.choice(FAULTS) if self.dice.random() < self.rate else ""
            if fault == "oversized" and len(message) <= OVERSIZE:
                fault = ""
            if fault:
                self.store.faults[fault] += 1
            if not fault or fault == "slow" or fault.startswith("stored"):
                self.store.take(self.path, "", message)
                self.store.uploads += 1
        self.answer(stream, fault, len(message))

    def answer(self, stream, fault, size):
        refusals = {
            "unavailable": (14, "not now", None), "exhausted": (8, "slow down", SOON), "deadline": (4, "too late", None),
            "oversized": (8, f"grpc: received message larger than max ({size} vs. {OVERSIZE})", None),
        }
        if fault in refusals:
            return self.refuse(stream, *refusals[fault])
        if fault in ("refused", "reset"):
            return self.send(RST_STREAM, 0, stream, struct.pack(">I", REFUSED_STREAM if fault == "refused" else CANCEL))
        if fault in ("dropped", "stored, dropped"):
            return self.drop()
        if fault == "goaway before":
            # This call was not looked at.
            self.send(GOAWAY, 0, 0, struct.pack(">II", max(stream - 2, 0), 0))
            self.ended = True
            return self.sock.shutdown(socket.SHUT_WR)
        if fault == "slow":
            time.sleep(0.05)
        if fault == "stored, goaway":
            self.send(GOAWAY, 0, 0, struct.pack(">II", stream, 0))
        self.send(HEADERS, END_HEADERS, stream, headers((":status", 200), ("content-type", "application/grpc+proto")))
        if fault == "stored, reset":
            return self.send(RST_STREAM, 0, stream, struct.pack(">I", CANCEL))
        # `partial_success { rejected: 1, error_message: "too old" }`, and the same of none.
        message = {"stored, partial": b"\x0a\x0b\x08\x01\x12\x07too old", "stored, warned": b"\x0a\x09\x12\x07careful"}
        message = message.get(fault, b"")
        frame = b"\0" + struct.pack(">I", len(message)) + message
        if fault == "stored, half":
            self.send(DATA, 0, stream, frame[:3])
            return self.drop()
        if fault == "stored, no status":
            return self.send(DATA, END_STREAM, stream, frame)
        self.send(DATA, 0, stream, frame)
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, headers(("grpc-status", 0)))
        if fault == "stored, goaway":
            self.ended = True
            self.sock.shutdown(socket.SHUT_WR)

    def refuse(self, stream, code, words, details):
        pairs = [(":status", 200), ("content-type", "application/grpc+proto"), ("grpc-status", code), ("grpc-message", words)]
        if details:
            pairs.append(("grpc-status-details-bin", details))
        self.send(HEADERS, END_HEADERS | END_STREAM, stream, headers(*pairs))

    def drop(self):
        # Not a goodbye, but a reset.
        self.ended = True
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Server:
    """Takes calls of one signal, as `http.server` takes requests."""

    def __init__(self, store, path, dice, rate):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.server_port = self.listener.getsockname()[1]
        self.of = (store, path, dice, rate)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        try:
            with sock:
                connection = Connection(sock, *self.of)
                connection.serve()
                connection.file.close()
        except OSError:
            pass  # the client was killed

    def shutdown(self):
        self.listener.close()
