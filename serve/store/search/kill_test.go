package search

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/serve/store"
)

// node is a real node of scripts/search-node that the test owns.
type node struct {
	product, port, data string
	cmd                 *exec.Cmd
}

// start returns when the node answers.
func (n *node) start(t *testing.T) {
	t.Helper()
	n.cmd = exec.Command("../../../scripts/search-node", n.product, n.port)
	n.cmd.Env = append(os.Environ(), "DATA="+n.data)
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "ready ") {
		t.Fatalf("%s does not start: %q, %v", n.product, line, err)
	}
}

// kill is kill -9.
func (n *node) kill(t *testing.T) {
	t.Helper()
	if err := n.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = n.cmd.Wait()
}

// A real node is killed under load, and starts again with its data; degas is closed while it is away, and opened again.
// Nothing is lost, and nothing is doubled.
func TestNodeIsKilled(t *testing.T) {
	product := os.Getenv("DEGAS_KILL_NODE")
	if product == "" {
		t.Skip("DEGAS_KILL_NODE is not set. Try: scripts/verify-store")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(free.Addr().String())
	free.Close()
	n := &node{product: product, port: port, data: t.TempDir()}
	n.start(t)
	defer func() { n.kill(t) }()

	p := usual
	p.drain, p.counts = time.Second, 3*time.Second
	o := Options{URL: "http://127.0.0.1:" + port, Dir: t.TempDir(), All: true, pace: p}
	s := open(t, o)
	begin, total := time.Now(), 0
	load := func(d time.Duration) {
		for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
			all := numbered(25)
			for i := range all {
				all[i].Name = fmt.Sprintf("e%d.example", total+i)
			}
			s.Append(all)
			total += len(all)
		}
	}
	load(10 * time.Second)
	n.kill(t)
	load(5 * time.Second)
	closeStore(t, s)
	o.pace.drain = time.Minute
	s = open(t, o)
	load(2 * time.Second)
	n.start(t)
	load(10 * time.Second)
	n.kill(t)
	n.start(t)
	load(2 * time.Second)
	refreshed(t, s)

	r := store.Range{From: begin.Truncate(24 * time.Hour), To: time.Now().Add(time.Minute)}
	for step := store.Minute; step <= store.Day; step++ {
		counts, err := s.Counts(t.Context(), r, step, store.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		sum := int64(0)
		for _, c := range counts {
			sum += c.N
		}
		if sum != int64(total) {
			t.Errorf("%d events in slots of %v, want %d", sum, step.Duration(), total)
		}
	}
	seen := map[string]int{}
	for cursor, first := store.Cursor(""), true; first || cursor != ""; first = false {
		page, err := s.Events(t.Context(), r, store.Filter{}, cursor, 5000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page.Events {
			seen[e.Name]++
		}
		cursor = page.Next
	}
	if len(seen) != total {
		t.Errorf("%d events, want %d", len(seen), total)
	}
	for name, times := range seen {
		if times != 1 {
			t.Errorf("%s is there %d times", name, times)
		}
	}
	t.Logf("%d events, %+v", total, s.Stats())
	closeStore(t, s)
}
