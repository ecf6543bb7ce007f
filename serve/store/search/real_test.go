package search

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/serve/store"
	"github.com/degas-dns/degas/serve/store/storetest"
)

// quick is a pace for tests.
var quick = pace{flush: 50 * time.Millisecond, save: 100 * time.Millisecond, lists: time.Second, counts: time.Second,
	gather: 20 * time.Millisecond, first: 10 * time.Millisecond, longest: 100 * time.Millisecond,
	maintain: 100 * time.Millisecond, retain: time.Hour, drain: time.Minute}

// nodes are the variables of the environment with the URLs of real nodes, which tests may empty. scripts/verify-store
// sets them.
var nodes = []string{"DEGAS_OPENSEARCH", "DEGAS_ELASTICSEARCH"}

// eachNode runs a test on every real node that there is.
func eachNode(t *testing.T, test func(t *testing.T, url string)) {
	for _, variable := range nodes {
		t.Run(strings.TrimPrefix(variable, "DEGAS_"), func(t *testing.T) {
			url := os.Getenv(variable)
			if url == "" {
				t.Skip(variable + " is not set. Try: scripts/verify-store")
			}
			test(t, url)
		})
	}
}

// empty deletes all that degas has in the cluster.
func empty(t testing.TB, url string) {
	t.Helper()
	c, err := newClient(Options{URL: url, Log: discard(nil)})
	if err != nil {
		t.Fatal(err)
	}
	var streams struct {
		Streams []struct{ Name string } `json:"data_streams"`
	}
	_ = c.do(t.Context(), http.MethodGet, "/_data_stream/logs-degas*", nil, &streams) // not every product has them
	for _, one := range streams.Streams {
		if err := c.do(t.Context(), http.MethodDelete, "/_data_stream/"+one.Name, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"degas-dns", "degas-counts"} {
		_ = c.do(t.Context(), http.MethodDelete, "/_index_template/"+name, nil, nil)
	}
	sizes, err := c.sizes(t.Context(), datedPrefix+"*,"+countsPrefix+"*")
	if err != nil {
		t.Fatal(err)
	}
	for name := range sizes {
		if err := c.do(t.Context(), http.MethodDelete, "/"+name, nil, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, o Options) *Store {
	t.Helper()
	if o.pace == (pace{}) {
		o.pace = quick
	}
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func refreshed(t *testing.T, s store.Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	if err := s.(*Store).Refresh(ctx); err != nil {
		t.Fatalf("%v; %+v", err, s.Stats())
	}
}

func TestConformance(t *testing.T) {
	eachNode(t, func(t *testing.T, url string) {
		dirs := map[string]string{}
		storetest.Run(t, storetest.Backend{
			Open: func(t *testing.T, place string) store.Store {
				key := t.Name() + place
				if dirs[key] == "" {
					dirs[key] = t.TempDir()
					empty(t, url)
				}
				s := open(t, Options{URL: url, Dir: dirs[key], All: true})
				refreshed(t, s) // the cluster is known
				return s
			},
			Refresh: refreshed,
		})
	})
}

// A template of another product is there: all its fields have to be in the cluster as the file has them.
func TestMappingIsOurs(t *testing.T) {
	eachNode(t, func(t *testing.T, url string) {
		empty(t, url)
		s := open(t, Options{URL: url, Dir: t.TempDir(), All: true})
		s.Append(storetest.Fixture(10))
		refreshed(t, s)
		var mappings map[string]struct {
			Mappings struct {
				Dynamic    any
				Properties map[string]json.RawMessage
			}
		}
		target := s.target.Load()
		for _, pattern := range []string{target.read(), countsPrefix + "*"} {
			if err := s.client.do(t.Context(), http.MethodGet, "/"+pattern+"/_mapping", nil, &mappings); err != nil {
				t.Fatal(err)
			}
		}
		if len(mappings) < 4 {
			t.Errorf("%d indices, want 4", len(mappings))
		}
		for name, m := range mappings {
			if m.Mappings.Dynamic != "false" || m.Mappings.Properties["degas"] == nil {
				t.Errorf("%s has the mapping %+v", name, m.Mappings)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
}

// BenchmarkNode is what an event costs this process on its way to a real node, and what it takes there.
func BenchmarkNode(b *testing.B) {
	for _, variable := range nodes {
		url := os.Getenv(variable)
		if url == "" {
			continue
		}
		b.Run(strings.TrimPrefix(variable, "DEGAS_"), func(b *testing.B) {
			empty(b, url)
			s, err := Open(Options{URL: url, Dir: b.TempDir(), All: true})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			if err := s.Refresh(b.Context()); err != nil {
				b.Fatal(err)
			}
			all := storetest.Fixture(10_000)
			for i := range all {
				all[i].Time = time.Now()
			}
			before := cpu(b)
			for b.Loop() {
				s.Append(all)
				if err := s.Refresh(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			n := float64(b.N * len(all))
			b.ReportMetric(n/(cpu(b)-before).Seconds(), "events/CPU-s")
			sizes, err := s.client.sizes(b.Context(), s.target.Load().read())
			if err != nil {
				b.Fatal(err)
			}
			total := int64(0)
			for _, bytes := range sizes {
				total += bytes
			}
			b.ReportMetric(float64(total)/n, "disk-bytes/event")
		})
	}
}
