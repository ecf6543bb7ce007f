package ledger

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
)

// decider is the variable of a process that decides until it is killed: the folder of its ledger.
const decider = "DEGAS_TEST_LEDGER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(decider); dir != "" {
		decideForEver(dir)
	}
	os.Exit(m.Run())
}

// decideForEver decides, and says each ID once Decide has returned it.
func decideForEver(dir string) {
	l, err := Open(context.Background(), dir, Options{})
	for n := 0; err == nil; n++ {
		var id int64
		id, err = l.Decide(context.Background(), Decision{Pattern: fmt.Sprintf("n%d.p%d.example", n, os.Getpid()),
			Verdict: Block, By: "a process"})
		if err == nil {
			fmt.Println(id)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// Every decision whose ID a process has said is there after the process was killed.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	var said []int64
	const rounds = 3
	for round := range rounds {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		c := exec.CommandContext(ctx, os.Args[0])
		c.Env = append(os.Environ(), decider+"="+dir)
		c.Stderr = os.Stderr
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for first := len(said); lines.Scan(); {
			var id int64
			if _, err := fmt.Sscan(lines.Text(), &id); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			said = append(said, id)
			if len(said) == first+20+13*round { // what it says before it is dead counts too
				if err := c.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = c.Wait()
		cancel()
	}
	l := open(t, dir, Options{})
	there := map[int64]bool{}
	for before := int64(0); ; {
		p, err := l.Decisions(t.Context(), Filter{State: InForce}, before, MostPage)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range p.Decisions {
			there[d.ID] = true
		}
		if before = p.Next; before == 0 {
			break
		}
	}
	for _, id := range said {
		if !there[id] {
			t.Errorf("decision %d is lost", id)
		}
	}
	if n := len(l.InForce(time.Now()).Block); n != len(there) || len(said) < rounds*20 {
		t.Errorf("%d decisions were said, %d are there, %d in force", len(said), len(there), n)
	}
	t.Logf("%d decisions were said before %d kills, %d are there", len(said), rounds, len(there))
}

// BenchmarkDecide measures decisions one by one, each of which waits for the disk.
func BenchmarkDecide(b *testing.B) {
	l := open(b, b.TempDir(), Options{})
	n := 0
	for b.Loop() {
		n++
		decide(b, l, fmt.Sprintf("block n%d.example", n))
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
}
