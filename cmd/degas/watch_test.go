package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// watching runs a watch until stop is called, which returns its exit status and what it said.
func watching(ctx context.Context, args ...string) (stop func() (code int, out, log string)) {
	ctx, interrupt := context.WithCancel(ctx)
	var stdout, stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append([]string{"degas", "watch"}, args...), strings.NewReader(""), &stdout, &stderr)
	}()
	return func() (int, string, string) {
		interrupt()
		return <-ended, stdout.String(), stderr.String()
	}
}

// appendTo adds to a file.
func appendTo(t *testing.T, path, text string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// holds waits until a file holds a text.
func holds(t *testing.T, path, text string) {
	t.Helper()
	for range 300 {
		if data, _ := os.ReadFile(path); strings.Contains(string(data), text) {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("%s does not hold %q", path, text)
}

// A watch finds what a followed log shows, sends it to a file, holds back what is muted, and keeps its state.
func TestWatch(t *testing.T) {
	if testing.Short() {
		t.Skip("takes fifteen seconds")
	}
	t.Chdir(t.TempDir())
	appendTo(t, "q.csv", "")
	appendTo(t, "block.txt", "bad.example\nquiet.example\n")
	appendTo(t, "mute.yaml", "mutes:\n- domain: quiet.example\n  reason: known\n  until: "+
		time.Now().AddDate(0, 1, 0).Format(time.DateOnly)+"\n")
	stop := watching(t.Context(), "--format", "csv", "--field", "name=1", "--field", "client=2", "--block", "block.txt",
		"--mute", "mute.yaml", "--to", "found.jsonl", "--state", "state", "--metrics", "0", "q.csv")
	time.Sleep(time.Second)
	appendTo(t, "q.csv", "bad.example,192.0.2.7\nquiet.example,192.0.2.7\n")
	holds(t, "found.jsonl", `"kind":"list","domain":"bad.example","client":"192.0.2.7"`)
	appendTo(t, "block.txt", "late.example\n") // while it runs
	for range 100 {
		appendTo(t, "q.csv", "late.example,192.0.2.7\n")
		if data, _ := os.ReadFile("found.jsonl"); strings.Contains(string(data), "late.example") {
			break
		}
		time.Sleep(200 * time.Millisecond)
	}
	holds(t, "found.jsonl", `"kind":"list","domain":"late.example","client":"192.0.2.7"`)
	code, out, log := stop()
	if code != 0 || out != "" {
		t.Errorf("exit status %d, %q, %s", code, out, log)
	}
	if data, _ := os.ReadFile("found.jsonl"); strings.Contains(string(data), "quiet.example") {
		t.Errorf("a muted finding is sent: %s", data)
	}
	if _, err := os.Stat("state"); err != nil {
		t.Error(err)
	}
}

// What cannot be watched is said at once.
func TestWatchRefuses(t *testing.T) {
	t.Chdir(t.TempDir())
	appendTo(t, "q.csv", "name,client\n")
	appendTo(t, "broken", "broken\n")
	appendTo(t, "x.pcap", "\xd4\xc3\xb2\xa1\x02\x00\x04\x00"+strings.Repeat("\x00", 10)+"\x04\x00\x01\x00\x00\x00")
	for _, test := range []struct {
		args []string
		code int
		says string
	}{
		{nil, 2, "name an --interface, a --dnstap address or a log"},
		{[]string{"--interface", "nowhere0"}, 1, "nowhere0"},
		{[]string{"--dnstap", "/tmp/x"}, 1, "want unix:PATH or tcp:HOST:PORT"},
		{[]string{"x.pcap"}, 1, "degas scan"},
		{[]string{"none/q.csv"}, 1, "none: no such file or directory"},
		{[]string{"--state", "broken", "q.csv"}, 1, "remove the file"},
		{[]string{"--mute", "broken", "q.csv"}, 1, "read the mutes"},
		{[]string{"--to", "gopher://x", "q.csv"}, 1, "no place for findings"},
		{[]string{"--metrics", "host.invalid:99999", "q.csv"}, 1, "metrics"},
		{[]string{"--false-alarms", "-1", "q.csv"}, 2, "must be above 0 and"},
		{[]string{"--baseline", "broken", "q.csv"}, 1, "read baseline broken"},
	} {
		var out, log bytes.Buffer
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		code := run(ctx, append([]string{"degas", "watch"}, test.args...), strings.NewReader(""), &out, &log)
		cancel()
		if code != test.code || !strings.Contains(log.String(), test.says) || out.Len() > 0 {
			t.Errorf("watch %q: exit status %d, %q", test.args, code, log.String())
		}
	}
}

// watched is the text as the name of a followed log, and in it.
func (s *session) watched() {
	s.Helper()
	path := filepath.Join("logs", strings.ReplaceAll(hostile, "/", "")+"-watched.csv")
	s.write(path, "")
	s.write("blocked.txt", "*.blocked.example\n")
	stop := watching(s.Context(), "--format", "csv", "--field", "name=1", "--field", "client=2", "--block", "blocked.txt",
		"--to", "found.jsonl", path)
	time.Sleep(time.Second)
	text := strings.NewReplacer("\n", "", `"`, `""`).Replace(hostile)
	appendTo(s.T, path, `"`+text+`.blocked.example","`+text+"\"\nx.blocked.example,192.0.2.1\n")
	holds(s.T, "found.jsonl", "192.0.2.1")
	code, out, log := stop()
	if code != 0 || alive.MatchString(out+log) {
		s.Errorf("watch: exit status %d, %q, %q", code, out, log)
	}
	s.ran["watch"] = true
	s.file("found.jsonl")
}
