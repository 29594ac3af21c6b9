#!/usr/bin/env bash
# Starts an installed server on 127.0.0.1 and returns when it answers.
# usage: start.sh mlflow [PORT=5101] | phoenix [PORT=6106] | collector [PORT=5318, and the one before it for gRPC]
# Exit codes: 77 not installed, 1 it did not come up (its last lines on stderr).
set -euo pipefail
servers=${SERVERS:-${XDG_CACHE_HOME:-$HOME/.cache}/codex-trace/servers}
name=$1
[ -d "$servers/$name/bin" ] || { echo "start.sh: $name is not installed: run install.sh $name" >&2; exit 77; }
data=$servers/data/$name
mkdir -p "$data"
fail=(-f)
cd "$data"

case $name in
  mlflow)
    port=${2:-5101} health=/health
    # Without the job runner: traces do not need its seven processes.
    export MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false
    command=("$servers/mlflow/bin/mlflow" server --host 127.0.0.1 --port "$port" --workers 1
      --backend-store-uri "sqlite:///$data/mlflow.db" --artifacts-destination "$data/artifacts") ;;
  phoenix)
    port=${2:-6106} health=/readyz
    export PHOENIX_WORKING_DIR=$data PHOENIX_HOST=127.0.0.1 PHOENIX_PORT=$port
    export PHOENIX_GRPC_PORT=$((port + 1)) PHOENIX_TELEMETRY_ENABLED=false
    export PHOENIX_ALLOW_EXTERNAL_RESOURCES=false
    command=("$servers/phoenix/bin/phoenix" serve) ;;
  collector)
    # Each request that it takes is a line of {traces,logs,metrics}.jsonl in its directory.
    port=${2:-5318} health=/ fail=() # it has no page to say that it is well
    rm -f {traces,logs,metrics}.jsonl
    cat >config.yaml <<YAML
receivers:
  otlp:
    protocols:
      http: {endpoint: "127.0.0.1:$port", max_request_body_size: 67108864}
      grpc: {endpoint: "127.0.0.1:$((port - 1))"}
exporters:
  lines/traces: {path: "$data/traces.jsonl"}
  lines/logs: {path: "$data/logs.jsonl"}
  lines/metrics: {path: "$data/metrics.jsonl"}
service:
  telemetry: {metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], exporters: [lines/traces]}
    logs: {receivers: [otlp], exporters: [lines/logs]}
    metrics: {receivers: [otlp], exporters: [lines/metrics]}
YAML
    command=("$servers/collector/bin/otelcol" --config config.yaml) ;;
  *) echo "start.sh: no server is called $name" >&2; exit 2 ;;
esac

setsid "${command[@]}" >"$data/log" 2>&1 </dev/null &
pid=$!
echo "$pid" >"$data/pid"
for _ in $(seq 180); do
  if curl "${fail[@]}" -sS -m 2 -o /dev/null "http://127.0.0.1:$port$health" 2>/dev/null; then
    echo "http://127.0.0.1:$port"
    exit 0
  fi
  kill -0 "$pid" 2>/dev/null || break
  sleep 1
done
tail -n 20 "$data/log" >&2
exit 1
