#!/usr/bin/env bash
# The side-by-side: what one request costs in client CPU, ours beside whichever peers are installed.
#   benches/peers.sh [SECONDS per client and round, default 5] [ROUNDS, default 3]
# A bare keep-alive server answers 900 bytes of JSON on loopback. Clients run one at a time, in turn, on a core of their
# own, with 50 connections. µs/request = user + system time of the client process (start and report included) divided by
# the requests that the target counted. WATERTIGHT=PATH measures another binary of ours; ONLY="wrk ours-get" some clients.
set -u
# shellcheck source=benches/bench.sh
. "$(dirname "${BASH_SOURCE[0]}")/bench.sh"

SECONDS_EACH=${1:-5}
ROUNDS=${2:-3}
CONNECTIONS=50
OURS=${WATERTIGHT:-$BIN/watertight}

build
choose_cores

CLIENTS=()
for client in wrk ab h2load oha hey k6 bare ours-get ours-journey ours-hit; do
    case ${ONLY:-} in "" | *"$client"*) ;; *) continue ;; esac
    case $client in
        ours-* | bare) CLIENTS+=("$client") ;;
        *) if command -v "$client" >/dev/null; then CLIENTS+=("$client"); fi ;;
    esac
done

# Time for start, graceful stop and report on top.
LIMIT=$((SECONDS_EACH + 20))
start_target $((ROUNDS * ${#CLIENTS[@]} * LIMIT + 60))

ours() {
    measure "$LIMIT" "$OURS" run "$SCENARIOS/$1.yaml" --target bare="$URL" --users "$CONNECTIONS" --for "${SECONDS_EACH}s" \
        --workers 1 --seed 1 --no-tui --quiet --out "$SCRATCH/results-$1-$round"
}

play() {
    case $1 in
        wrk) measure "$LIMIT" wrk -t 1 -c $CONNECTIONS -d "${SECONDS_EACH}s" "$URL/" ;;
        # Its count is its limit; the time ends it first. It sets memory aside for each.
        ab) measure "$LIMIT" ab -q -k -c $CONNECTIONS -t "$SECONDS_EACH" -n 5000000 "$URL/" ;;
        h2load) measure "$LIMIT" h2load --h1 -t 1 -c $CONNECTIONS -D "$SECONDS_EACH" "$URL/" ;;
        oha) measure "$LIMIT" oha --no-tui -c $CONNECTIONS -z "${SECONDS_EACH}s" "$URL/" ;;
        hey) measure "$LIMIT" hey -cpus 1 -c $CONNECTIONS -z "${SECONDS_EACH}s" "$URL/" ;;
        k6) measure "$LIMIT" k6 run --quiet --env TIME="${SECONDS_EACH}s" --env URL="$URL/" "$SCENARIOS/get.js" ;;
        bare) measure "$LIMIT" "$BIN/bare-client" "$URL" $CONNECTIONS "$SECONDS_EACH" ;;
        ours-hit) measure "$LIMIT" "$OURS" hit "$URL/" --users $CONNECTIONS --for "${SECONDS_EACH}s" --workers 1 --no-tui ;;
        ours-get) ours get ;;
        ours-journey) ours journey ;;
    esac
}

for ((round = 1; round <= ROUNDS; round++)); do
    for client in "${CLIENTS[@]}"; do
        play "$client"
        if [ "$REQUESTS" -lt 100 ]; then
            echo "$client did not play (round $round); it said:" >&2
            tail -n 5 "$SCRATCH/out" >&2
            continue
        fi
        echo "$round $client $CPU_US $REQUESTS" >>"$SCRATCH/rounds"
    done
done

echo
awk -v rounds="$ROUNDS" '
    function median(client,   n, i, j, t, v) {
        n = count[client]
        for (i = 1; i <= n; i++) v[i] = cost[client, i]
        for (i = 2; i <= n; i++) for (j = i; j > 1 && v[j] < v[j - 1]; j--) { t = v[j]; v[j] = v[j - 1]; v[j - 1] = t }
        low = v[1]; high = v[n]
        return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
    }
    { if (!count[$2]++) order[++clients] = $2; cost[$2, count[$2]] = $3 / $4; requests[$2] += $4 }
    END {
        wrk = ("wrk" in count) ? median("wrk") : 0
        printf "%-14s %12s %18s %12s %8s\n", "client", "µs/request", "lowest…highest", "requests", "× wrk"
        for (i = 1; i <= clients; i++) {
            client = order[i]
            middle = median(client)
            ratio = wrk ? sprintf("%.2f", middle / wrk) : "–"
            printf "%-14s %12.2f %18s %12d %8s\n", client, middle, sprintf("%.2f…%.2f", low, high), requests[client], ratio
        }
    }' "$SCRATCH/rounds"
echo
echo "median of $ROUNDS rounds of ${SECONDS_EACH} s, $CONNECTIONS connections, clients in turn; ours-get: scenarios/get.yaml, ours-journey: scenarios/journey.yaml"
where_from
echo "repeat: benches/peers.sh $SECONDS_EACH $ROUNDS"
