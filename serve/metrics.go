package serve

import (
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// numbers are what a server counts. No label holds a name, a client, or a path that a stranger chose.
type numbers struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec   // path, code
	took     *prometheus.HistogramVec // path
	refused  *prometheus.CounterVec   // reason
	scores   *prometheus.CounterVec   // model, version, verdict
	scoring  prometheus.Histogram
	batch    prometheus.Histogram
	value    prometheus.Histogram

	tensorflow *prometheus.Registry
	tfRequests *prometheus.CounterVec   // model_name, status
	tfTook     *prometheus.HistogramVec // model_name, API, entrypoint
	tfScoring  *prometheus.HistogramVec // model_name
}

// newNumbers makes the numbers of a server.
func newNumbers(o *Options) *numbers {
	n := &numbers{registry: prometheus.NewRegistry(), tensorflow: prometheus.NewRegistry()}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		n.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
		n.registry.MustRegister(h)
		return h
	}
	n.requests = counter("degas_http_requests_total", "Requests answered, by route and status.", "path", "code")
	n.took = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "degas_http_request_duration_seconds",
		Help: "Time from a request's header to the end of its answer.", Buckets: prometheus.ExponentialBuckets(1e-4, 4, 10)},
		[]string{"path"})
	n.registry.MustRegister(n.took)
	n.refused = counter("degas_requests_refused_total", "Requests refused before they reached their route.", "reason")
	n.scores = counter("degas_scores_total", "Names by what was said of them.", "model", "version", "verdict")
	n.scoring = histogram("degas_score_duration_seconds", "Time that scoring a batch took.",
		prometheus.ExponentialBuckets(1e-5, 4, 10))
	n.batch = histogram("degas_batch_size", "Names that were scored together.", prometheus.ExponentialBuckets(1, 4, 9))
	n.value = histogram("degas_score_value", "Scores: how they are spread tells drift.",
		prometheus.LinearBuckets(0.05, 0.05, 20))
	n.registry.MustRegister(collector{o})
	build := prometheus.NewGauge(prometheus.GaugeOpts{Name: "degas_build_info",
		Help: "Version of the program; always 1.", ConstLabels: prometheus.Labels{"version": o.Version,
			"go_version": runtime.Version()}})
	build.Set(1)
	if o.Watching == nil { // which has its own
		n.registry.MustRegister(build)
	}

	// TensorFlow Serving's three (prometheus names with colons for slashes), in microseconds.
	micro := prometheus.ExponentialBuckets(10, 1.8, 33)
	n.tfRequests = prometheus.NewCounterVec(prometheus.CounterOpts{Name: ":tensorflow:serving:request_count",
		Help: "The total number of requests."}, []string{"model_name", "status"})
	n.tfTook = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: ":tensorflow:serving:request_latency",
		Help: "Distribution of wall time (in microseconds) for each request.", Buckets: micro},
		[]string{"model_name", "API", "entrypoint"})
	n.tfScoring = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: ":tensorflow:serving:runtime_latency",
		Help: "Distribution of wall time (in microseconds) for the model's part.", Buckets: micro}, []string{"model_name"})
	n.tensorflow.MustRegister(n.tfRequests, n.tfTook, n.tfScoring)
	return n
}

// scored counts a batch: p is [names, labels].
func (n *numbers) scored(v *models.Version, p []float32, took time.Duration) {
	width := v.Classifier.Width()
	rows := len(p) / width
	if rows == 0 {
		return
	}
	threshold := v.Classifier.Model().Threshold
	bad := 0
	for i := range rows {
		score := model.ScoreOf(p[i*width : (i+1)*width])
		n.value.Observe(score)
		if score >= threshold {
			bad++
		}
	}
	number := strconv.Itoa(v.Number)
	n.scores.WithLabelValues(v.Model, number, detect.Malicious.String()).Add(float64(bad))
	n.scores.WithLabelValues(v.Model, number, detect.Benign.String()).Add(float64(rows - bad))
	n.batch.Observe(float64(rows))
	n.scoring.Observe(took.Seconds())
	n.tfScoring.WithLabelValues(v.Model).Observe(float64(took.Microseconds()))
}

// decided counts a decision about a name.
func (n *numbers) decided(v *models.Version, d *detect.Decision) {
	n.scores.WithLabelValues(v.Model, strconv.Itoa(v.Number), d.Verdict.String()).Inc()
	if d.Scored() {
		n.value.Observe(d.Score)
	}
}

// asTensorFlow counts requests as TensorFlow Serving does.
func (s *Server) asTensorFlow(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start, answer := time.Now(), &recorded{ResponseWriter: w}
		h.ServeHTTP(answer, r)
		name, api := tensorflowCall(r.URL.Path)
		if s.o.Models.Versions(name) == nil {
			name = "" // a stranger's text
		}
		s.metrics.tfRequests.WithLabelValues(name, canonical(answer.code())).Inc()
		s.metrics.tfTook.WithLabelValues(name, api, "REST").Observe(float64(time.Since(start).Microseconds()))
	})
}

// tensorflowCall is the model that a path names, and what it asks for.
func tensorflowCall(path string) (name, api string) {
	parts := strings.Split(path, "/") // "", v1, models, NAME, …
	if len(parts) < 4 {
		return "", "other"
	}
	name, verb, _ := strings.Cut(parts[3], ":")
	last := parts[len(parts)-1]
	if _, v, ok := strings.Cut(last, ":"); ok {
		verb = v
	}
	switch strings.ToLower(verb) {
	case "predict":
		return name, "Predict"
	case "classify":
		return name, "Classify"
	case "regress":
		return name, "Regress"
	}
	if strings.EqualFold(last, "metadata") {
		return name, "GetModelMetadata"
	}
	return name, "GetModelStatus"
}

// canonical is the name of the canonical code (google.rpc.Code) that TensorFlow Serving gives a status for.
func canonical(status int) string {
	switch status {
	case http.StatusOK:
		return "OK"
	case http.StatusUnauthorized:
		return "UNAUTHENTICATED"
	case http.StatusForbidden:
		return "PERMISSION_DENIED"
	case http.StatusNotFound:
		return "NOT_FOUND"
	case http.StatusTooManyRequests:
		return "RESOURCE_EXHAUSTED"
	case reply.StatusClientClosed:
		return "CANCELLED"
	case http.StatusServiceUnavailable:
		return "UNAVAILABLE"
	case http.StatusInternalServerError:
		return "INTERNAL"
	}
	return "INVALID_ARGUMENT"
}

// metricsPage answers /metrics: the server's numbers, and those of the stream if there is one.
func (s *Server) metricsPage() http.Handler {
	own := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{DisableCompression: true})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own.ServeHTTP(w, r)
		if s.o.Watching != nil {
			_ = s.o.Watching.Write(w) // an error means that the client has left
		}
	})
}

// collector reads numbers that others keep.
type collector struct{ o *Options }

var (
	loadedAt = prometheus.NewDesc("degas_model_loaded_timestamp_seconds", "When a version was loaded, in Unix time.",
		[]string{"model", "version"}, nil)
	inForce  = prometheus.NewDesc("degas_decisions", "Decisions that are in force.", []string{"verdict"}, nil)
	appended = prometheus.NewDesc("degas_store_appended_total", "Events given to the store.", nil, nil)
	dropped  = prometheus.NewDesc("degas_store_dropped_total", "Events that were counted, but not kept as rows.",
		[]string{"reason"}, nil)
	bytesKept = prometheus.NewDesc("degas_store_bytes", "Bytes that the store takes.", nil, nil)
	budget    = prometheus.NewDesc("degas_store_budget_bytes", "Bytes that the store may take.", nil, nil)
	waiting   = prometheus.NewDesc("degas_store_waiting", "Events that wait to be written.", nil, nil)
	shadowed  = prometheus.NewDesc("degas_shadow_names_total", "Names that a candidate and the version in force scored, "+
		"by which of them call it malicious: both, old, new or neither. A version that is loaded begins anew.",
		[]string{"version", "outcome"}, nil)
	shadowDropped = prometheus.NewDesc("degas_shadow_dropped_total",
		"Names that candidates did not score, because too many waited.", []string{"version"}, nil)
	writable = prometheus.NewDesc("degas_store_writable", "1 if events can be kept now.", nil, nil)
)

// Describe implements prometheus.Collector. Nothing said makes the collector unchecked.
func (collector) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	for _, name := range c.o.Models.Names() {
		for _, v := range c.o.Models.Versions(name) {
			to <- prometheus.MustNewConstMetric(loadedAt, prometheus.GaugeValue, float64(v.Loaded.UnixMilli())/1e3, name,
				strconv.Itoa(v.Number))
		}
	}
	if c.o.Ledger != nil {
		in := c.o.Ledger.InForce(time.Now())
		for verdict, n := range map[string]int{"allow": len(in.Allow), "block": len(in.Block)} {
			to <- prometheus.MustNewConstMetric(inForce, prometheus.GaugeValue, float64(n), verdict)
		}
	}
	if c.o.Shadow != nil {
		for _, r := range c.o.Shadow.Reports() {
			version := strconv.Itoa(r.Number)
			for outcome, n := range map[string]int64{"both": r.Both, "old": r.OnlyOld, "new": r.OnlyNew, "neither": r.Neither} {
				to <- prometheus.MustNewConstMetric(shadowed, prometheus.CounterValue, float64(n), version, outcome)
			}
			to <- prometheus.MustNewConstMetric(shadowDropped, prometheus.CounterValue, float64(r.Dropped), version)
		}
	}
	if c.o.Store == nil {
		return
	}
	st := c.o.Store.Stats()
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, float64(v), labels...)
	}
	send(appended, prometheus.CounterValue, st.Appended)
	send(dropped, prometheus.CounterValue, st.Dropped, "full")
	send(dropped, prometheus.CounterValue, st.Failed, "failed")
	send(bytesKept, prometheus.GaugeValue, st.Bytes)
	send(budget, prometheus.GaugeValue, st.Budget)
	send(waiting, prometheus.GaugeValue, st.Waiting)
	good := int64(1)
	if st.Unwritable {
		good = 0
	}
	send(writable, prometheus.GaugeValue, good)
}
