package detect

import (
	"bufio"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/dnsname"
)

const shared = "../../shared/data"

// listOf reads names of a list, at most n, without repeats and without those that are never scored.
func listOf(t *testing.T, path string, n int) (out []string) {
	t.Helper()
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var in io.Reader = f
	if filepath.Ext(path) == ".gz" {
		if in, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]bool{}
	for s := bufio.NewScanner(in); s.Scan() && len(out) < n; {
		text := s.Text()
		if label, name, ok := strings.Cut(text, ","); ok && label == "1" { // DTQBC: 1 is a tunnel
			text = name
		}
		name, err := dnsname.Fold(strings.TrimPrefix(text, "*."))
		if err == nil && !seen[name] && neverScored(name) == "" {
			seen[name] = true
			out = append(out, name)
		}
	}
	return out
}

// TestMeasured compares a Policy with a model that judges whole names: it may call few more ordinary names malicious,
// and must find more of what is generated.
func TestMeasured(t *testing.T) {
	if testing.Short() {
		t.Skip("scores 200,000 names")
	}
	p := policy(t, Options{Classifier: builtin()})
	var examples, www, deep []string
	lists, err := filepath.Glob(filepath.Join(shared, "dga-examples", "*", "*.txt"))
	if err != nil || len(lists) == 0 {
		t.Skip("no examples of DGAs", err)
	}
	for _, path := range lists {
		for _, name := range listOf(t, path, 500) {
			examples, www, deep = append(examples, name), append(www, "www."+name), append(deep, "api-7.eu."+name)
		}
	}
	for _, c := range []struct {
		what        string
		names       []string
		least, most float64 // of 1,000, with the built-in model of November 2026
	}{
		{"Umbrella's hosts", listOf(t, shared+"/misp-warninglists/cisco_top20k.txt.gz", 1e6), 0, 0.4},
		{"hosts of resolvers", listOf(t, shared+"/misp-warninglists/public-dns-hostname.txt.gz", 1e6), 0, 0.2},
		{"DGA examples", examples, 400, 1000},
		{"DGA examples behind www", www, 400, 1000},
		{"DGA examples behind labels", deep, 400, 1000},
		{"tunnels", listOf(t, shared+"/raw/dtqbc/validating.csv", 1e6), 750, 1000},
	} {
		out := make([]Decision, len(c.names))
		if err := p.DecideAll(t.Context(), c.names, out); err != nil {
			t.Fatal(err)
		}
		width := len(p.labels)
		whole := make([]float32, len(c.names)*width)
		if err := p.classifier.ProbabilitiesFolded(t.Context(), c.names, whole); err != nil {
			t.Fatal(err)
		}
		before, after := 0, 0
		for i := range c.names {
			if model.ScoreOf(whole[i*width:(i+1)*width]) >= p.threshold {
				before++
			}
			if out[i].Verdict == Malicious {
				after++
			}
		}
		rate := 1000 * float64(after) / float64(len(c.names))
		t.Logf("%s: %d names, of 1,000 whole %.2f, as a Policy judges %.2f", c.what, len(c.names),
			1000*float64(before)/float64(len(c.names)), rate)
		if rate < c.least || rate > c.most {
			t.Errorf("%s: %.2f of 1,000, want %v to %v", c.what, rate, c.least, c.most)
		}
	}
}
