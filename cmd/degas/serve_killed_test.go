package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// call asks a server, and decodes its JSON.
func call(t *testing.T, method, url, body string, into any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s %s: %s %s, %v", method, url, resp.Status, data, err)
	}
	if err := json.Unmarshal(data, into); into != nil && err != nil {
		t.Fatalf("%s: %v in %s", url, err, data)
	}
}

// total is how many events a server has counted.
func total(t *testing.T, base string) (n int) {
	t.Helper()
	var answer struct{ Counts []struct{ N int } }
	call(t, "GET", base+"/v1/counts?step=day", "", &answer)
	for _, c := range answer.Counts {
		n += c.N
	}
	return n
}

// A server that is killed while events and decisions come in loses no decision, and at most the events of the last
// second before. Nothing is counted twice, also not after the next start.
func TestServeKilled(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	dir := t.TempDir()
	start := func() (base string, kill func()) {
		c, log := degasProcess(t, dir, "serve", "--data", "kept", "--addr", "127.0.0.1:0")
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		url, err := bufio.NewReader(out).ReadString('\n')
		if err != nil {
			t.Fatalf("%v: %s", err, log)
		}
		base, _, _ = strings.Cut(url, "/v1/")
		return base, func() { _ = c.Process.Kill(); _ = c.Wait() }
	}
	base, kill := start()
	sent, safe, decided := 0, 0, 0
	type mark struct {
		at   time.Time
		sent int
	}
	var marks []mark
	var longest time.Duration // of a request: on a busy machine, the second is longer
	ran := time.Now()
	for time.Since(ran) < 4*time.Second {
		var batch strings.Builder
		for range 100 {
			fmt.Fprintf(&batch, `{"name":"n%d.example.com","kind":"both","client":"192.0.2.%d"}`+"\n", sent, sent%250)
			sent++
		}
		began := time.Now()
		call(t, "POST", base+"/v1/events", batch.String(), nil)
		longest = max(longest, time.Since(began))
		call(t, "POST", base+"/v1/decisions", fmt.Sprintf(`{"pattern": "d%d.example.org", "verdict": "block"}`, decided), nil)
		decided++
		marks = append(marks, mark{time.Now(), sent})
		time.Sleep(100*time.Millisecond - time.Since(ran)%(100*time.Millisecond))
	}
	kill()
	for _, m := range marks {
		if time.Since(m.at) > time.Second+8*longest {
			safe = m.sent
		}
	}
	base, kill = start()
	defer kill()
	got := total(t, base)
	t.Logf("sent %d, of which %d long enough before the end; %d are there; the longest request took %v", sent, safe, got,
		longest)
	if got < safe || got > sent {
		t.Errorf("%d events are there, want %d to %d", got, safe, sent)
	}
	var answer struct{ Decisions []struct{ Pattern string } }
	call(t, "GET", base+"/v1/decisions?limit=1000", "", &answer)
	if len(answer.Decisions) != decided {
		t.Errorf("%d decisions are there, want %d", len(answer.Decisions), decided)
	}
}
