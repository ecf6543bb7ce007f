package degas

import (
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

// TestMetrics has Prometheus' own rules for names look at the metrics, and README.md list them and every property.
func TestMetrics(t *testing.T) {
	manual, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []*prometheus.CounterVec{requestCount, limitedCount} {
		v.Reset()
	}
	requestCount.WithLabelValues("dns://:53", "", "benign", "pass").Inc()
	limitedCount.WithLabelValues("dns://:53", "").Inc()
	eventsDropped.WithLabelValues("log").Inc()
	findingCount.WithLabelValues("tunnel").Inc()
	for _, v := range []*prometheus.GaugeVec{listEntries, listLoaded, listFailures} {
		v.WithLabelValues("block.txt").Set(1)
	}
	modelInfo.WithLabelValues("builtin", "0").Set(1)
	all, err := prometheus.DefaultGatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	ours := all[:0]
	for _, f := range all {
		if strings.HasPrefix(f.GetName(), "coredns_degas_") {
			ours = append(ours, f)
			if !strings.Contains(string(manual), "* `"+f.GetName()) {
				t.Errorf("README.md has no %s", f.GetName())
			}
		}
	}
	if len(ours) != 13 {
		t.Errorf("%d metrics, want 13", len(ours))
	}
	problems, err := promlint.NewWithMetricFamilies(ours).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("%v, error %v", problems, err)
	}
	for p := range properties {
		if !strings.Contains(string(manual), "\n    "+p) || !strings.Contains(string(manual), "`"+p) {
			t.Errorf("README.md has no property %s", p)
		}
	}
	for _, name := range unfit {
		if !strings.Contains(string(manual), "*"+name+"*") {
			t.Errorf("README.md has no plugin %s", name)
		}
	}
}
