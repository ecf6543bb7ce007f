package tensorflow_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/modeltest"
)

// tiny is a model that scores fast.
func tiny(t *testing.T, labels int) *model.Model {
	t.Helper()
	m := preset(t, "cnn", nil)
	m.Spec.Labels = nil
	for i := range labels {
		m.Spec.Labels = append(m.Spec.Labels, fmt.Sprint("family", i))
	}
	m.Spec.Layers = []model.Layer{m.Spec.Layers[0], {Kind: model.KindGlobalMaxPool},
		{Kind: model.KindDense, Units: labels, Activation: model.Softmax}}
	if err := m.Spec.Validate(); err != nil {
		t.Fatal(err)
	}
	m.Weights = modeltest.Weights(&m.Spec, rand.New(rand.NewPCG(1, 2)))
	return m
}

// small is the body of an ordinary request.
const small = `{"instances": ["a.com"]}`

// Large requests that take the memory are refused until others are done. Small ones are answered all the time.
func TestMemoryIsShared(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; go test ./... runs it")
	}
	h, _ := server(t, preset(t, "mlbridge", nil))
	post := func(body io.Reader) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("POST", "/v1/models/m:predict", body))
		return w
	}
	// Two requests stop just before their end.
	var ends []*io.PipeWriter
	done := make(chan int)
	for range 2 {
		r, w := io.Pipe()
		go func() { done <- post(r).Code }()
		// Whoever has read the second text has taken memory for the first.
		for _, text := range []string{`{"instances": [` + strings.Repeat(" ", 63<<20), " "} {
			if _, err := io.WriteString(w, text); err != nil {
				t.Fatal(err)
			}
		}
		ends = append(ends, w)
	}
	large := `{"instances": [` + strings.Repeat(" ", 16<<20) + `""]}`
	if w := post(strings.NewReader(large)); w.Code != 429 || w.Header().Get("Retry-After") != "1" ||
		!strings.Contains(w.Body.String(), "try again") {
		t.Errorf("the memory is taken: %d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := post(strings.NewReader(small)); w.Code != 200 {
		t.Errorf("a small request: %d %s", w.Code, w.Body)
	}
	for _, end := range ends {
		if _, err := io.WriteString(end, `""]}`); err != nil {
			t.Fatal(err)
		}
		end.Close()
		if code := <-done; code != 200 {
			t.Errorf("a large request: %d", code)
		}
	}
	if w := post(strings.NewReader(large)); w.Code != 200 {
		t.Errorf("when the others are done: %d %s", w.Code, w.Body)
	}
}

// An answer may take more than its request: 100,000 names, and 300 labels for each.
func TestAnswerTooLarge(t *testing.T) {
	h, _ := server(t, tiny(t, 300))
	body := `{"instances": [""` + strings.Repeat(`,""`, 99_999) + `]}`
	if status, got := ask(t, h, "POST", "/v1/models/m:predict", body); status != 413 ||
		!strings.Contains(got, "send fewer rows") {
		t.Errorf("%d %.200s", status, got)
	}
	if status, got := ask(t, h, "POST", "/v1/models/m:predict", small); status != 200 {
		t.Errorf("then a small request: %d %s", status, got)
	}
}

// The text of an error does not give a request back.
func TestErrorsAreShort(t *testing.T) {
	h, _ := server(t, preset(t, "mlbridge", nil))
	body := `{"signature_name": "` + strings.Repeat("a", 1<<20) + `", "instances": []}`
	if status, got := ask(t, h, "POST", "/v1/models/m:predict", body); status != 400 || len(got) > 2000 {
		t.Errorf("%d with %d bytes", status, len(got))
	}
}

// A client that does not read its answer is cut off.
func TestUnreadAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("long under the race detector; go test ./... runs it")
	}
	h, _ := server(t, tiny(t, 50))
	h.Reply.Timeout = 100 * time.Millisecond
	s := httptest.NewServer(h)
	defer s.Close() // waits for the handler
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	body := `{"inputs": [""` + strings.Repeat(`,""`, 99_999) + `]}`
	_, err = fmt.Fprintf(conn, "POST /v1/models/m:predict HTTP/1.1\r\nHost: m\r\nContent-Length: %d\r\n\r\n%s",
		len(body), body)
	if err == nil {
		_, err = conn.Read(make([]byte, 1))
	}
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(500 * time.Millisecond)
	// What the system had buffered still comes.
	if n, _ := io.Copy(io.Discard, conn); n > 40<<20 {
		t.Errorf("after the deadline came %d bytes, which is all of the answer", n)
	}
	if resp, err := http.Get(s.URL + "/v1/models/m"); err != nil || resp.StatusCode != 200 {
		t.Errorf("another client: %v", err)
	} else {
		resp.Body.Close()
	}
}
