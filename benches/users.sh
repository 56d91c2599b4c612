#!/usr/bin/env bash
# What a connected, thinking user costs in memory: the generator's resident set with N users less that with one.
#   benches/users.sh [USERS…, default 1000 10000]
# Users connect within 5 s, ask once and think for longer than the run; read at 10 s and at 16 s (it must not grow),
# then the run is interrupted.
set -u
# shellcheck source=benches/bench.sh
. "$(dirname "${BASH_SOURCE[0]}")/bench.sh"

if [ $# -eq 0 ]; then set -- 1000 10000; fi
OURS=${WATERTIGHT:-$BIN/watertight}

build
choose_cores
start_target $((($# + 1) * 60 + 60))

resident_kb() { sed -n 's/^VmRSS:[[:space:]]*\([0-9]*\).*/\1/p' "/proc/$1/status"; }

# Interrupts the run; kills it if it has not gone within 5 s.
end_client() {
    local tries
    kill -INT "$CLIENT_PID" 2>/dev/null
    for ((tries = 0; tries < 50; tries++)); do
        kill -0 "$CLIENT_PID" 2>/dev/null || break
        sleep 0.1
    done
    kill -KILL "$CLIENT_PID" 2>/dev/null
    wait "$CLIENT_PID" 2>/dev/null
    CLIENT_PID=
}

# play USERS: sets EARLY and LATE, in kB, and SEEN, the requests that came of it.
play() {
    local before client
    before=$(answered)
    # Not through `timeout`, whose memory would be read instead: `end_client` is the limit.
    "${PIN_CLIENT[@]}" "$OURS" run "$SCENARIOS/think.yaml" --target bare="$URL" --users "$1" --workers 1 --seed 1 \
        --no-tui --quiet --out "$SCRATCH/results-$1" >"$SCRATCH/out" 2>&1 &
    client=$!
    CLIENT_PID=$client
    sleep 10
    EARLY=$(resident_kb $client)
    sleep 6
    LATE=$(resident_kb $client)
    SEEN=$(($(answered) - before))
    end_client
    if [ -z "$EARLY" ] || [ -z "$LATE" ]; then
        echo "the run with $1 users ended early; it said:" >&2
        tail -n 5 "$SCRATCH/out" >&2
        exit 1
    fi
}

play 1
base=$LATE
printf '%8s %10s %14s %14s %16s\n' users requests "RSS at 10 s" "RSS at 16 s" "kB per user"
printf '%8d %10d %11d kB %11d kB %16s\n' 1 "$SEEN" "$EARLY" "$LATE" "(the base)"
for users in "$@"; do
    play "$users"
    printf '%8d %10d %11d kB %11d kB %16s\n' "$users" "$SEEN" "$EARLY" "$LATE" \
        "$(awk "BEGIN { printf \"%.1f\", ($LATE - $base) / $users }")"
    if [ "$SEEN" -lt "$users" ]; then echo "only $SEEN of $users users were answered: the figure is too low"; fi
done
where_from
echo "repeat: benches/users.sh $*"
