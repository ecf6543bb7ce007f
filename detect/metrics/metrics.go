// Package metrics counts what a live watch does, and shows the counts in the text format of Prometheus. It writes the
// format by hand: Prometheus' own library would bring eight modules for a dozen numbers.
//
// No label holds a name, a client or a domain. Labels are sources and sinks from the configuration, and fixed texts.
package metrics

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/degas-dns/degas/events"
)

// Metrics are the numbers of one process. All of them are safe for concurrent use.
type Metrics struct {
	Events      *Family // events read: source, rcode (see RCodeClass)
	Scored      *Family // names that the model scored
	Skipped     *Family // units that hold no question: reason, as in events.Stats
	Refused     *Family // units that cannot be read: reason, as in events.Stats
	KernelDrops *Family // packets that the kernel dropped before the watch could read them: source
	Findings    *Family // findings, muted ones included: kind
	Muted       *Family // findings that a mute held back: kind
	SinkSent    *Family // findings delivered: sink
	SinkErrors  *Family // deliveries that failed, each retry counted: sink
	SinkDropped *Family // findings that were given up: sink
	Clients     *Family // clients remembered
	Domains     *Family // domains remembered
	LastEvent   *Family // Unix time of the last event; shown as its age. New sets it to now
	StateSaved  *Family // Unix time at which the state was last saved; 0 for never
	Model       *Family // number of the model's version: model

	families []*Family
}

// kinds of families, as Prometheus calls them. An age is a gauge.
const (
	counter = "counter"
	gauge   = "gauge"
	age     = "age"
)

// New makes the Metrics of a program in some version.
func New(version string) *Metrics {
	m := &Metrics{}
	add := func(name, kind, help string, labels ...string) *Family {
		f := &Family{name: "degas_" + name, kind: kind, help: help, labels: labels, values: map[string]*Value{}}
		if len(labels) == 0 {
			f.With()
		}
		m.families = append(m.families, f)
		return f
	}
	m.Events = add("events_total", counter, "Events read.", "source", "rcode")
	m.Scored = add("names_scored_total", counter, "Names that the model scored.")
	m.Skipped = add("units_skipped_total", counter, "Packets, lines or frames that hold no question.", "reason")
	m.Refused = add("units_refused_total", counter, "Packets, lines or frames that could not be read.", "reason")
	m.KernelDrops = add("kernel_drops_total", counter, "Packets that the kernel dropped unread.", "source")
	m.Findings = add("findings_total", counter, "Findings, including muted ones.", "kind")
	m.Muted = add("findings_muted_total", counter, "Findings that a mute held back.", "kind")
	m.SinkSent = add("sink_sent_total", counter, "Findings delivered.", "sink")
	m.SinkErrors = add("sink_errors_total", counter, "Failed deliveries, including those that were retried.", "sink")
	m.SinkDropped = add("sink_dropped_total", counter, "Findings that were not delivered and will not be.", "sink")
	m.Clients = add("clients_remembered", gauge, "Clients in memory.")
	m.Domains = add("domains_remembered", gauge, "Domains in memory.")
	m.LastEvent = add("last_event_age_seconds", age, "Seconds since the last event, or since the start.")
	m.StateSaved = add("state_saved_timestamp_seconds", gauge, "Unix time of the last saved state; 0 for never.")
	m.Model = add("watch_model_version", gauge, "Number of the version in use of the watch's model.", "model")
	build := add("build_info", gauge, "Version of the program; always 1.", "version", "go_version")
	build.With(version, runtime.Version()).Set(1)
	m.LastEvent.With().Set(time.Now().Unix())
	return m
}

// Family is one metric with a Value for each combination of its labels.
type Family struct {
	name, kind, help string
	labels           []string
	mu               sync.RWMutex
	values           map[string]*Value // by the labels as they are written
}

// mostSeries bounds a family's Values: a source of ever new labels must not fill memory here or in Prometheus.
const mostSeries = 200

// With returns the Value for the values of the labels, in the order that Metrics says. Keep it where events are
// counted: looking it up allocates. Once a family has 200 Values, new ones are counted together as "other".
func (f *Family) With(values ...string) *Value {
	if len(values) != len(f.labels) {
		panic(fmt.Sprintf("metrics: %s has %d labels, not %d", f.name, len(f.labels), len(values)))
	}
	key := f.key(values)
	f.mu.RLock()
	v := f.values[key]
	f.mu.RUnlock()
	if v != nil {
		return v
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.values) >= mostSeries && f.values[key] == nil {
		values = slices.Repeat([]string{"other"}, len(values))
		key = f.key(values)
	}
	if f.values[key] == nil {
		f.values[key] = &Value{of: slices.Clone(values)}
	}
	return f.values[key]
}

// Each gives every Value with its labels, in the order that Metrics says. Values come in the order of their labels.
func (f *Family) Each(do func(labels []string, n int64)) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	for _, key := range slices.Sorted(maps.Keys(f.values)) {
		do(f.values[key].of, f.values[key].Load())
	}
}

var escape = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// key is how labels are written: {source="eth0",rcode="noerror"}.
func (f *Family) key(values []string) string {
	var b strings.Builder
	for i, v := range values {
		b.WriteByte("{,"[min(i, 1)])
		fmt.Fprintf(&b, `%s="%s"`, f.labels[i], escape.Replace(strings.ToValidUTF8(v, "\ufffd")))
	}
	if len(values) > 0 {
		b.WriteByte('}')
	}
	return b.String()
}

// Value is a number.
type Value struct {
	n  atomic.Int64
	of []string // its labels
}

// Add adds n, which is not negative for a counter.
func (v *Value) Add(n int64) { v.n.Add(n) }

// Set replaces the number, for gauges and for counts that are kept elsewhere, such as events.Stats.
func (v *Value) Set(n int64) { v.n.Store(n) }

// Load is the number.
func (v *Value) Load() int64 { return v.n.Load() }

// Write writes all Metrics as version 0.0.4 of the text format.
func (m *Metrics) Write(w io.Writer) error {
	out, now := bufio.NewWriter(w), time.Now().Unix()
	for _, f := range m.families {
		kind := f.kind
		if kind == age {
			kind = gauge
		}
		fmt.Fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", f.name, f.help, f.name, kind)
		f.mu.RLock()
		for _, key := range slices.Sorted(maps.Keys(f.values)) {
			n := f.values[key].Load()
			if f.kind == age {
				n = max(now-n, 0)
			}
			fmt.Fprintf(out, "%s%s %d\n", f.name, key, n)
		}
		f.mu.RUnlock()
	}
	return out.Flush()
}

// RCodeClass is the label for a response code: "none" without an answer, "other" for all but the common ones.
func RCodeClass(c events.RCode) string {
	switch c {
	case events.NoRCode:
		return "none"
	case events.NoError, events.NXDomain, events.ServFail, events.Refused, events.FormErr:
		return strings.ToLower(c.String())
	}
	return "other"
}
