#!/usr/bin/env bash
# Plays the practice clinic with each seeded defect among many users and with one, and without defects under chaos.
# In: SECONDS of each run (30), SEEDS of the healthy clinic (20). Out: a table; exit code 1 if a defect stays hidden
# among many, shows itself to a user alone who could not suffer from it, or the healthy clinic raises an alarm.
# WATERTIGHT=PATH plays another binary.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-30} seeds=${2:-20}
binary=${WATERTIGHT:-}
if [ -z "$binary" ]; then
    cargo build --release --locked -q -p watertight
    binary=${CARGO_TARGET_DIR:-target}/release/watertight
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"; [ -z "${clinic:-}" ] || kill "$clinic" 2>/dev/null || true' EXIT
failed=0

# Proven leaks of a results folder, and the second of the first one.
leaks() { sed -n 's/^    "leaks": \([0-9]*\),*$/\1/p' "$1/result.json" | head -1; }
first() { sed -n '/"tier":"proven"/ s/.*"t_s":\([0-9.]*\).*/\1/p' "$1/leaks.jsonl" | sort -n | head -1; }
# Of those: own data that a revoked token still brought. One user alone meets them too.
stale() { sed -n '/^    "by_detector"/,/}/ s/.*"stale-access": \([0-9]*\),*$/\1/p' "$1/result.json"; }
row() { printf '%-18s %-10s %8s %10s  %s\n' "$@"; }

row defect users leaks 'first, s' ''
for defect in shared-cache session-mixup broken-access crossed-replies context-bleed write-mixup stale-session wrong-room stream-crossing; do
    for users in 20 1; do
        out=$folder/$defect-$users
        "$binary" demo --quiet --no-tui --defect "$defect" --users "$users" --for "${seconds}s" --out "$out" >/dev/null 2>&1 || true
        found=$(leaks "$out") word=right
        own=$(stale "$out")
        if { [ "$users" = 20 ] && [ "$found" = 0 ]; } || { [ "$users" = 1 ] && [ "$found" != "${own:-0}" ]; }; then
            word=WRONG failed=1
        fi
        row "$defect" "$users" "$found" "$(first "$out")" "$word"
    done
done

"$binary" practice --port 0 >"$folder/clinic" 2>&1 &
clinic=$!
until grep -q 'http://' "$folder/clinic"; do sleep 0.1; done
url=$(grep -o 'http://[0-9.:]*' "$folder/clinic" | head -1)
for seed in $(seq "$seeds"); do
    out=$folder/healthy-$seed
    "$binary" run scenarios/library/clinic.yaml --profile chaos --quiet --no-tui --seed "$seed" --users 20 --for "${seconds}s" \
        --target "patient=$url" --target "clinical=$url" --target "ai=$url" --out "$out" >/dev/null 2>&1 || true
    found=$(leaks "$out") word=right
    [ "$found" = 0 ] || { word=WRONG failed=1; }
    row "none, seed $seed" 20 "$found" "$(first "$out")" "$word"
done
exit $failed
