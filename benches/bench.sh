# Shared by peers.sh and users.sh: finds the binaries, starts the bare target, measures processes.
# Sourced, not run. Everything it starts ends by itself after a stated time, and with the script.

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(dirname "$HERE")
BIN=${CARGO_TARGET_DIR:-$ROOT/target}/release
SCENARIOS=$HERE/scenarios
SCRATCH=$(mktemp -d)
TARGET_PID=
CLIENT_PID=

clean_up() {
    if [ -n "$CLIENT_PID" ]; then kill -KILL "$CLIENT_PID" 2>/dev/null; fi
    if [ -n "$TARGET_PID" ]; then kill "$TARGET_PID" 2>/dev/null; fi
    rm -rf "$SCRATCH"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# NO_BUILD=1 takes the binaries that are there.
build() {
    if [ -n "${NO_BUILD:-}" ]; then return; fi
    (cd "$ROOT" && cargo build --quiet --release --package watertight --package benches \
        --bin watertight --bin bare-target --bin bare-client) || exit 1
}

# The first two processors that this shell may use; the same twice if there is one, nothing without taskset.
choose_cores() {
    PIN_CLIENT=() PIN_TARGET=()
    PINNED="not pinned: taskset is not installed"
    command -v taskset >/dev/null || return 0
    local cores=() range core
    for range in $(taskset -cp $$ | sed 's/.*: //; s/,/ /g'); do
        for ((core = ${range%-*}; core <= ${range#*-}; core++)); do cores+=("$core"); done
    done
    PIN_TARGET=(taskset -c "${cores[0]}")
    PIN_CLIENT=(taskset -c "${cores[1]:-${cores[0]}}")
    PINNED="client on one core, target on another"
    if [ ${#cores[@]} -lt 2 ]; then PINNED="client and target share the only core"; fi
}

# start_target SECONDS: sets URL.
start_target() {
    ulimit -n "$(ulimit -Hn)" 2>/dev/null
    : >"$SCRATCH/port"
    "${PIN_TARGET[@]}" "$BIN/bare-target" "$1" >"$SCRATCH/port" &
    TARGET_PID=$!
    local tries
    for ((tries = 0; tries < 100; tries++)); do
        PORT=$(cat "$SCRATCH/port")
        if [ -n "$PORT" ]; then
            URL=http://127.0.0.1:$PORT
            return
        fi
        sleep 0.05
    done
    echo "the bare target did not start" >&2
    exit 1
}

# How many requests the target has answered so far.
answered() {
    exec 3<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'GET /count HTTP/1.1\r\nhost: x\r\n\r\n' >&3
    tail -n 1 <&3
    exec 3>&-
}

# measure LIMIT_S COMMAND…: sets CPU_US (user + system time of the command) and REQUESTS (counted by the target).
measure() {
    local limit=$1 before after user system
    shift
    before=$(answered)
    TIMEFORMAT='%3U %3S'
    { time "${PIN_CLIENT[@]}" timeout --foreground "$limit" "$@" >"$SCRATCH/out" 2>&1; } 2>"$SCRATCH/time"
    after=$(answered)
    read -r user system <"$SCRATCH/time"
    CPU_US=$(awk "BEGIN { printf \"%d\", ($user + $system) * 1000000 }")
    REQUESTS=$((after - before))
}

where_from() {
    echo "processor: $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo 2>/dev/null | head -n 1), $(getconf _NPROCESSORS_ONLN) online, $(uname -sr)"
    echo "set-up: $PINNED"
    if [ -r /proc/loadavg ]; then echo "load average before: $LOAD_BEFORE, after: $(cut -d' ' -f1 /proc/loadavg)"; fi
}
LOAD_BEFORE=$(cut -d' ' -f1 /proc/loadavg 2>/dev/null)
