package degas

import (
	"sync"

	"github.com/coredns/coredns/plugin"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/degas-dns/degas/detect"
)

// Metrics of all instances. No label holds a name, a client or a rule: strangers choose those. server is the address
// that a query came to, and view that of CoreDNS' plugin view.
var (
	requestCount = promauto.NewCounterVec(prometheus.CounterOpts{Namespace: plugin.Namespace, Subsystem: name,
		Name: "requests_total", Help: "Counter of queries by what was decided and done."},
		[]string{"server", "view", "verdict", "action"})
	scoreDuration = promauto.NewHistogram(prometheus.HistogramOpts{Namespace: plugin.Namespace, Subsystem: name,
		Name: "decide_duration_seconds", Buckets: prometheus.ExponentialBuckets(1e-6, 4, 9),
		Help: "Histogram of the time that a decision about a name took that was not remembered."})
	cacheHits = promauto.NewCounter(prometheus.CounterOpts{Namespace: plugin.Namespace, Subsystem: name,
		Name: "verdict_cache_hits_total", Help: "Counter of queries whose decision was remembered."})
	cacheMisses = promauto.NewCounter(prometheus.CounterOpts{Namespace: plugin.Namespace, Subsystem: name,
		Name: "verdict_cache_misses_total", Help: "Counter of queries whose decision was not remembered."})
	listEntries = promauto.NewGaugeVec(prometheus.GaugeOpts{Namespace: plugin.Namespace, Subsystem: name,
		Name: "list_entries", Help: "Entries of a list in use."}, []string{"list"})
	listLoaded = promauto.NewGaugeVec(prometheus.GaugeOpts{Namespace: plugin.Namespace, Subsystem: name,
		Name: "list_loaded_timestamp_seconds", Help: "When the list in use was read, in Unix time."}, []string{"list"})
	listFailures = promauto.NewGaugeVec(prometheus.GaugeOpts{Namespace: plugin.Namespace, Subsystem: name,
		Name: "list_failures", Help: "How often a list could not be read since the start."},
		[]string{"list"})
	eventsDropped = promauto.NewCounterVec(prometheus.CounterOpts{Namespace: plugin.Namespace, Subsystem: name,
		Name: "events_dropped_total",
		Help: "Counter of events that did not get to the evidence or the log: they came too fast."},
		[]string{"to"})
	findingCount = promauto.NewCounterVec(prometheus.CounterOpts{Namespace: plugin.Namespace, Subsystem: name,
		Name: "findings_total", Help: "Counter of clients and domains that were found, by kind."}, []string{"kind"})
	heldDomains = promauto.NewGauge(prometheus.GaugeOpts{Namespace: plugin.Namespace, Subsystem: name,
		Name: "held_domains", Help: "Domains that are blocked for a time because a tunnel was found in them."})
	limitedCount = promauto.NewCounterVec(prometheus.CounterOpts{Namespace: plugin.Namespace, Subsystem: name,
		Name: "limited_total", Help: "Counter of queries without an answer because their client asked too often."},
		[]string{"server", "view"})
	engineErrors = promauto.NewCounter(prometheus.CounterOpts{Namespace: plugin.Namespace, Subsystem: name,
		Name: "engine_errors_total", Help: "Counter of queries that could not be scored."})
	modelInfo = promauto.NewGaugeVec(prometheus.GaugeOpts{Namespace: plugin.Namespace, Subsystem: name,
		Name: "model_info", Help: "The model in use; always 1."}, []string{"name", "sha256"})
)

// counters remembers the counters of requests: to find one by its labels takes longer than all that degas does about a
// name that it knows.
type counters struct{ by sync.Map }

type counterKey struct {
	server, view string
	verdict      detect.Verdict
	does         deed
}

func (c *counters) of(server, view string, v detect.Verdict, d deed) prometheus.Counter {
	key := counterKey{server, view, v, d}
	if known, ok := c.by.Load(key); ok {
		return known.(prometheus.Counter)
	}
	counter := requestCount.WithLabelValues(server, view, v.String(), d.String())
	c.by.Store(key, counter)
	return counter
}
