# Part of scripts/flink, which has folder, rest, run and the other names.

state() { rest jobs/overview | jq -r '.jobs[0].state // ""'; }
at_work() { [[ $(state) == RUNNING ]] && pgrep -g "$1" -f -- --worker=true >/dev/null; }
sums() { (cd "$1" && sha256sum ./*); }

# verify makes a data set by process-data and by Flink, which loses a task manager in the middle.
verify() { # ROWS
  local data=$folder/data victim job id rc=0
  stop
  rm -rf "$data"
  trap stop EXIT
  mkdir -p "$data"
  go build -o "$folder/degas" ./cmd/degas
  build
  "$folder/degas" --quiet generate --family all --layout umudga --count $(($1 / 40)) --out "$data/raw" >/dev/null 2>&1
  "$folder/degas" --quiet process-data --shards 8 "$data/raw" "$data/one" >/dev/null
  start
  run process --shards 8 --input "$data/raw" --output "$data/flink" >"$folder/log/run.log" 2>&1 &
  job=$! victim=$(<"$folder/task-manager-0.pid")
  await 300 "the job runs on task manager 0" at_work "$victim"
  id=$(rest jobs | jq -r '.jobs[0].id')
  sleep 1
  echo "before: job $id is $(state); task manager 0 and its worker: processes $(pgrep -g "$victim" | xargs)"
  rest "jobs/$id" | jq -r '.vertices[] | select(.status == "RUNNING") | "  at work: \(.name[:90])"'
  kill_manager 0
  echo "killed: all of these (kill -9); the new task manager 0 is process $(<"$folder/task-manager-0.pid")"
  wait "$job" || rc=$?
  echo "after: job $id is $(state); Flink says:"
  rest "jobs/$id/exceptions" |
    jq -r '.exceptionHistory.entries[] | "  \(.taskManagerId // .taskName): \(.stacktrace | split("\n")[0][:160])"'
  ((rc == 0)) || fail "the job failed, see $folder/log/run.log"
  diff <(sums "$data/one") <(sums "$data/flink") || fail "the files are not those of process-data, in $data"
  jq -r '"equal to process-data: \(.rows_in) rows in, \(.kept) kept, fingerprint \(.fingerprint[:16])"' \
    "$data/flink/dataset.json"
  [[ -z $(find "$data" -name '*.tmp') ]] || fail "files of the killed worker are left in $data"
  stop
  ! pgrep -f "$folder/(conf|degas-beam)" || fail "these processes are left"
  rm -r "$data"
}
