# Part of scripts/flink, which has folder, rest, run and the other names.

state() { rest jobs/overview | jq -r '.jobs[] | select(.state != "FINISHED") | .state'; }
at_work() { [[ $(state) == RUNNING ]] && pgrep -g "$1" -f -- --worker=true >/dev/null; }
sums() { (cd "$1" && sha256sum ./*); }

# raw ROWS writes names of every family, and some that have a date or come from other sources.
raw() {
  mkdir -p "$data/raw/netlab" "$data/raw/tranco"
  "$folder/degas" --quiet generate --family all --layout umudga --count $(($1 / 40)) --out "$data/raw/umudga" \
    >/dev/null 2>&1
  seq $(($1 / 40)) | awk '{ printf "conficker\tc%xq.net\t2018-06-%02d 00:00:00\t2018-07-01 23:59:59\n",
    $1, $1 % 30 + 1 }' >"$data/raw/netlab/dga.txt"
  seq $(($1 / 10)) | awk '{ printf "%d,host%d.site%x.co.uk\n", $1, $1 % 4, $1 }' >"$data/raw/tranco/top.csv"
}

# killed ends task manager 0 and its worker while the job runs, and tells what Flink makes of it.
killed() {
  local victim job=$1 id rc=0
  victim=$(<"$folder/task-manager-0.pid")
  await 300 "the job runs on task manager 0" at_work "$victim"
  id=$(rest jobs/overview | jq -r '.jobs[] | select(.state == "RUNNING") | .jid')
  sleep 1
  echo "before: job $id is $(state); task manager 0 and its worker: processes $(pgrep -g "$victim" | xargs)"
  rest "jobs/$id" | jq -r '.vertices[] | select(.status == "RUNNING") | "  at work: \(.name[:90])"'
  kill_manager 0
  echo "killed: all of these (kill -9); the new task manager 0 is process $(<"$folder/task-manager-0.pid")"
  wait "$job" || rc=$?
  echo "after: job $id is $(rest "jobs/$id" | jq -r .state); Flink says:"
  rest "jobs/$id/exceptions" |
    jq -r '.exceptionHistory.entries[] | "  \(.taskManagerId // .taskName): \(.stacktrace | split("\n")[0][:160])"'
  return $rc
}

# verify makes data sets three times: by process-data --shards, by Beam on Prism, and by Beam on Flink, which loses a
# task manager in the middle of the first.
verify() { # ROWS SPLIT…
  local data=$folder/data split
  stop
  rm -rf "$data"
  trap stop EXIT
  go build -o "$folder/degas" ./cmd/degas
  build
  raw "$1"
  start
  for split in "${@:2}"; do
    echo "== $split"
    "$folder/degas" --quiet process-data --split "$split" --shards 8 "$data/raw" "$data/$split-one" \
      >/dev/null 2>&1 # warnings: the benign names look generated, and they are
    "$folder/degas-beam" process --split "$split" --input "$data/raw" --output "$data/$split-prism" >/dev/null 2>&1
    run process --split "$split" --input "$data/raw" --output "$data/$split-flink" >"$folder/log/$split.log" 2>&1 &
    if [[ $split == "$2" ]]; then killed $!; else wait $!; fi || fail "the job failed, see $folder/log/$split.log"
    diff <(sums "$data/$split-one") <(sums "$data/$split-prism") || fail "Prism's files differ, in $data"
    diff <(sums "$data/$split-one") <(sums "$data/$split-flink") || fail "Flink's files differ, in $data"
    jq -r '"equal: \(.rows_in) rows in, \(.kept) kept, fingerprint \(.fingerprint[:16])"' \
      "$data/$split-flink/dataset.json"
    [[ -z $(find "$data" -name '*.tmp') ]] || fail "files of the killed worker are left in $data"
    rm -r "$data/$split"-*
  done
  stop
  ! pgrep -f "$folder/(conf|degas-beam)" || fail "these processes are left"
  rm -r "$data"
}
