#!/usr/bin/env node
// Runs the binary that the package of this platform contains, and ends as it ends.
"use strict";

const fs = require("fs");
const { spawn } = require("child_process");

const windows = process.platform === "win32";

// The packages that could have the binary, best first: what is made for musl is static, and runs beside glibc, too.
function packages() {
  const platform = `codex-trace-${process.platform}-${process.arch}`;
  if (process.platform !== "linux") return [platform];
  return hasGlibc() ? [platform, `${platform}-musl`] : [`${platform}-musl`];
}

function hasGlibc() {
  // Otherwise the report asks a server for the names of all addresses.
  process.report.excludeNetwork = true;
  return process.report.getReport().header.glibcVersionRuntime !== undefined;
}

function binary() {
  const names = packages();
  for (const name of names) {
    try {
      return require.resolve(`${name}/bin/codex-trace${windows ? ".exe" : ""}`);
    } catch {
      // The next one.
    }
  }
  console.error(`codex-trace: the package ${names[0]} is not installed.`);
  console.error("Either there is none for this platform, or optional dependencies were left out.");
  process.exit(2);
}

// A terminal sends Ctrl-C to the binary as well. A second one would make it stop at once, so it is not passed on. On
// Windows nothing else sends it, and to pass it on would be to kill.
function hasTerminal() {
  if (windows) return true;
  try {
    fs.closeSync(fs.openSync("/dev/tty", "r"));
    return true;
  } catch {
    return false;
  }
}

const child = spawn(binary(), process.argv.slice(2), { stdio: "inherit" });
const terminal = hasTerminal();
const handlers = {};
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  handlers[signal] = () => {
    if (signal !== "SIGINT" || !terminal) child.kill(signal);
  };
  process.on(signal, handlers[signal]);
}

child.on("error", (err) => {
  console.error(`codex-trace: ${err.message}`);
  process.exit(2);
});
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code);
  for (const name of Object.keys(handlers)) process.removeListener(name, handlers[name]);
  process.kill(process.pid, signal);
});
