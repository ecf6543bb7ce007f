package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/model"
)

// Every protocol sends the names, to the path that its servers have.
func TestProtocols(t *testing.T) {
	m, err := model.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	*export = t.TempDir()
	if err := m.Write(*export); err != nil {
		t.Fatal(err)
	}
	window := m.Spec.Encoder.Window
	for speak, want := range map[string]struct {
		path, part string
		raw        int // bytes behind the JSON
	}{
		"names":     {"/v1/names", `{"names":["a.com","bc.org"]}`, 0},
		"instances": {"/v1/models/degas:predict", `{"instances":["a.com","bc.org"]}`, 0},
		"v2":        {"/v2/models/degas/infer", `"shape":[2],"data":["a.com","bc.org"]`, 0},
		"v2-binary": {"/v2/models/degas/infer", `"parameters":{"binary_data_size":19}`, 19},
		"v2-codes":  {"/v2/models/degas/infer", `"datatype":"INT64","shape":[2,` + strconv.Itoa(window) + `]`, 16 * window},
	} {
		q, err := protocols[speak]("http://host", []string{"a.com", "bc.org"})
		if err != nil {
			t.Fatal(err)
		}
		head, raw := q.body, []byte(nil)
		if n, err := strconv.Atoi(q.header["Inference-Header-Content-Length"]); err == nil {
			head, raw = q.body[:n], q.body[n:]
		}
		if q.url != "http://host"+want.path || !strings.Contains(string(head), want.part) || !json.Valid(head) {
			t.Errorf("%s: %s %s", speak, q.url, head)
		}
		if len(raw) != want.raw {
			t.Errorf("%s: %d bytes of a tensor, want %d", speak, len(raw), want.raw)
		}
		if speak == "v2-codes" {
			codes := make([]uint16, window)
			m.Spec.Encoder.Coder().Encode(codes, "bc.org")
			for i, c := range codes {
				if got := binary.LittleEndian.Uint64(raw[8*(window+i):]); got != uint64(c) {
					t.Fatalf("code %d is %d, want %d", i, got, c)
				}
			}
		}
	}
	q, err := coreDNS("http://host", []string{"a.com"})
	if err != nil || string(q.body) != `{"Domain Name":"a.com.","IP":"127.0.0.1"}` {
		t.Errorf("%s, %v", q.body, err)
	}
	if _, err := coreDNS("http://host", []string{"a.com", "b.com"}); err == nil {
		t.Error("that server takes one name")
	}
}

func TestRun(t *testing.T) {
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			t.Error(err)
		}
		w.WriteHeader(status)
	}))
	defer s.Close()
	*url, *speak, *batch, *connections = s.URL, "names", 2, 3
	*names = filepath.Join(t.TempDir(), "names")
	*warm, *runs, *tree = time.Millisecond, 20*time.Millisecond, os.Getppid()
	if err := os.WriteFile(*names, []byte("a.com\nb.com\nc.com\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	r, err := run(context.Background())
	if err != nil || r.Requests == 0 || r.Names != 2*r.Requests || r.Rate <= 0 || r.Median <= 0 || r.P99 < r.Median {
		t.Errorf("%+v, %v", r, err)
	}
	status = http.StatusTeapot
	if _, err := run(context.Background()); err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("a failure is %v", err)
	}
	*speak = "smtp"
	if _, err := run(context.Background()); err == nil || !strings.Contains(err.Error(), "v2-binary") {
		t.Errorf("an unknown protocol is %v", err)
	}
}
