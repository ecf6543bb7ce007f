package tensorflow

import (
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/serve/models"
)

// Numbers are as printf("%g") writes them in TensorFlow Serving's source.
func TestNumber(t *testing.T) {
	check := func(v float32) {
		text := fmt.Sprintf("%.6g", v)
		if back, _ := strconv.ParseFloat(text, 32); float32(back) != v {
			text = fmt.Sprintf("%.9g", v)
		}
		if !strings.ContainsAny(text, ".e") {
			text += ".0"
		}
		var w writer
		if w.number(v); string(w.out) != text {
			t.Errorf("%b is %s, want %s", v, w.out, text)
		}
	}
	for v, want := range map[float32]string{0: "0.0", 1: "1.0", 0.2: "0.2", 2.5: "2.5", 9000000: "9e+06", .00003: "3e-05",
		100000: "100000.0", 1e6: "1e+06", 123456: "123456.0", 1234567: "1234567.0", 0.1234567: "0.123456702",
		float32(math.Inf(-1)): "-Infinity", float32(math.Inf(1)): "Infinity", -1.5: "-1.5", 1 << 30: "1.07374182e+09"} {
		var w writer
		if w.number(v); string(w.out) != want {
			t.Errorf("%s, want %s", w.out, want)
		}
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		if v := math.Float32frombits(r.Uint32()); v-v == 0 {
			check(v)
		}
		check(r.Float32())
		check(float32(r.IntN(1e7)) / 1e6)
	}
	for exponent := range 255 { // where gaps between values change
		for _, mantissa := range []uint32{0, 1, 2, 1<<23 - 1, 1<<23 - 2} {
			check(math.Float32frombits(uint32(exponent)<<23 | mantissa))
		}
	}
}

// builtin is a handler with the built-in model, and a request for n names.
func builtin(b *testing.B, n int) (h *Handler, path, body string) {
	set, err := models.Open(nil, models.Source{Dir: model.BuiltinName})
	if err != nil {
		b.Fatal(err)
	}
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf(`"host-%d.example%d.com"`, i, i%7))
	}
	return &Handler{Models: set}, "/v1/models/degas:predict", `{"instances": [` + strings.Join(names, ", ") + `]}`
}

var sizes = []int{1, 16, 256}

// BenchmarkPredict answers requests without a network.
func BenchmarkPredict(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h, path, body := builtin(b, n)
			b.ReportAllocs()
			for b.Loop() {
				w := httptest.NewRecorder()
				h.ServeHTTP(w, httptest.NewRequest("POST", path, strings.NewReader(body)))
				if w.Code != 200 {
					b.Fatal(w.Code, w.Body)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "names/s")
		})
	}
}

// BenchmarkScoring is the part of BenchmarkPredict that scores.
func BenchmarkScoring(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h, _, body := builtin(b, n)
			in := read(b, h, body)
			for b.Loop() {
				if _, err := in.score(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "names/s")
		})
	}
}

// BenchmarkJSON is the part of BenchmarkPredict that reads and writes JSON.
func BenchmarkJSON(b *testing.B) {
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h, _, body := builtin(b, n)
			in := read(b, h, body)
			p, err := in.score(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				read(b, h, body)
				answerOf(in.version, in.version.Signatures["names"], p, true)
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "names/s")
		})
	}
}

func read(b *testing.B, h *Handler, body string) *input {
	v, _ := h.Models.Find("degas", "")
	req, err := parse([]byte(body))
	if err != nil {
		b.Fatal(err)
	}
	memory := h.Models.Lease()
	defer memory.Release()
	in := newInput(v, v.Signatures["serving_default"])
	if err := in.readInstances(req.instances, memory); err != nil {
		b.Fatal(err)
	}
	return in
}

// BenchmarkConnections has 64 clients, each on a connection of its own, in the same process.
func BenchmarkConnections(b *testing.B) {
	const connections = 64
	for _, n := range sizes {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h, path, body := builtin(b, n)
			s := httptest.NewServer(h)
			defer s.Close()
			client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
			defer client.CloseIdleConnections()
			work := make(chan struct{})
			var all sync.WaitGroup
			for range connections {
				all.Go(func() {
					for range work {
						resp, err := client.Post(s.URL+path, "application/json", strings.NewReader(body))
						if err != nil {
							b.Error(err)
							continue
						}
						_, _ = io.Copy(io.Discard, resp.Body)
						resp.Body.Close()
					}
				})
			}
			for b.Loop() {
				work <- struct{}{}
			}
			close(work)
			all.Wait()
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "names/s")
		})
	}
}
