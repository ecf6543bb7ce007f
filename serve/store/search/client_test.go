package search

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTLS(t *testing.T) {
	stub := newStub(t, true)
	stub.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	stub.StartTLS()
	ca := file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: stub.Certificate().Raw})))

	p := quick
	p.drain = 10 * time.Millisecond
	s := open(t, Options{URL: stub.URL, Dir: t.TempDir(), pace: p})
	eventually(t, "an unknown authority shows", func() bool {
		err := s.Stats().Error
		return err != nil && strings.Contains(err.Error(), "certificate")
	})
	closeStore(t, s)
	if len(stub.seen) > 0 {
		t.Error("a request went to a server that is not trusted")
	}

	s = open(t, Options{URL: stub.URL, CAFile: ca, Dir: t.TempDir()})
	s.Append(numbered(10))
	closeStore(t, s)
	stub.all(t, 10, 10)
}

func TestCredentials(t *testing.T) {
	for _, test := range []struct {
		scheme       Scheme
		secret, want string
	}{
		{NoAuth, "", ""},
		{Basic, "degas:pass word:1\n", "Basic ZGVnYXM6cGFzcyB3b3JkOjE="},
		{APIKey, "VnVhQ2ZHY0JDZGJrUW0=", "ApiKey VnVhQ2ZHY0JDZGJrUW0="},
		{APIKey, "id:key", "ApiKey aWQ6a2V5"},
		{Bearer, " token \n", "Bearer token"},
	} {
		stub := newStub(t, true)
		s := open(t, Options{URL: stub.start(), Dir: t.TempDir(), Auth: test.scheme, SecretFile: file(t, test.secret)})
		s.Append(numbered(1))
		closeStore(t, s)
		if len(stub.seen) == 0 {
			t.Fatalf("%s: no request", test.scheme)
		}
		for _, r := range stub.seen {
			if got := r.Header.Get("Authorization"); got != test.want {
				t.Errorf("%s: %s %s has %q, want %q", test.scheme, r.Method, r.URL.Path, got, test.want)
			}
		}
	}
}

// A token changes while degas runs.
func TestTokenChanges(t *testing.T) {
	stub := newStub(t, true)
	stub.before = func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") == "Bearer new" {
			return false
		}
		failure(w, http.StatusUnauthorized, "security_exception", "expired")
		return true
	}
	token := file(t, "old")
	s := open(t, Options{URL: stub.start(), Dir: t.TempDir(), Auth: Bearer, SecretFile: token})
	s.Append(numbered(5))
	eventually(t, "401 shows", func() bool {
		err := s.Stats().Error
		return err != nil && strings.Contains(err.Error(), "Try: other credentials")
	})
	if err := os.WriteFile(token, []byte("new"), 0o600); err != nil {
		t.Fatal(err)
	}
	closeStore(t, s)
	stub.all(t, 5, 5)
}

// Another server must see neither the credentials nor the events.
func TestRedirectIsNotFollowed(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s went elsewhere", r.Method, r.URL)
	}))
	defer other.Close()
	stub := newStub(t, true)
	stub.before = func(w http.ResponseWriter, r *http.Request) bool {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		return true
	}
	p := quick
	p.drain = 100 * time.Millisecond
	s := open(t, Options{URL: stub.start(), Dir: t.TempDir(), pace: p, Auth: Bearer, SecretFile: file(t, "secret")})
	s.Append(numbered(5))
	eventually(t, "an error shows", func() bool { return s.Stats().Error != nil })
	closeStore(t, s)
	if err := s.Stats().Error; strings.Contains(err.Error(), "secret") {
		t.Errorf("error %v", err)
	}
}

func TestRefusedOptions(t *testing.T) {
	dir := t.TempDir()
	for _, test := range []struct {
		o    Options
		want string
	}{
		{Options{Dir: dir}, "Try: https://HOST:9200"},
		{Options{URL: "ftp://a", Dir: dir}, "Try: https://HOST:9200"},
		{Options{URL: "http://[::1", Dir: dir}, "Try: https://HOST:9200"},
		{Options{URL: "https://user:secret@host", Dir: dir}, "Try: credentials in a file"},
		{Options{URL: "https://host/?pretty", Dir: dir}, "more than a host"},
		{Options{URL: "https://host"}, "needs a directory"},
		{Options{URL: "https://host", Dir: dir, Rows: -1}, "negative"},
		{Options{URL: "https://host", Dir: dir, Auth: Basic, SecretFile: file(t, "secret")}, "Try: USER:PASSWORD"},
		{Options{URL: "https://host", Dir: dir, Auth: Bearer, SecretFile: file(t, "secret\x00")}, "no credentials"},
		{Options{URL: "https://host", Dir: dir, Auth: Bearer, SecretFile: file(t, "")}, "no credentials"},
		{Options{URL: "https://host", Dir: dir, Auth: Bearer, SecretFile: dir + "/missing"}, "read the credentials"},
		{Options{URL: "https://host", Dir: dir, Auth: "digest", SecretFile: file(t, "secret")}, "Allowed: basic"},
		{Options{URL: "https://host", Dir: dir, CAFile: file(t, "no PEM")}, "no certificate"},
	} {
		s, err := Open(test.o)
		if err == nil {
			s.Close()
			t.Errorf("%+v is no error", test.o)
		} else if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%+v: %v, want %q", test.o, err, test.want)
		}
	}
}

func TestDetect(t *testing.T) {
	for _, test := range []struct{ header, body, want string }{
		{"", `{"version":{"number":"2.19.6","distribution":"opensearch"}}`, "OpenSearch 2.19.6"},
		{"", `{"version":{"number":"7.10.2"},"tagline":"You Know, for Search"}`, "Elasticsearch 7.10.2"},
		{"Elasticsearch", `{"version":{"number":"9.1.0"},"tagline":"?"}`, "Elasticsearch 9.1.0"},
		{"", `{"version":{"number":"1"},"tagline":"other"}`, ""},
		{"", `{}`, ""},
		{"", `<html>`, ""},
		{"", `[]`, ""},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if test.header != "" {
				w.Header().Set("X-Elastic-Product", test.header)
			}
			_, _ = io.WriteString(w, test.body)
		}))
		c, err := newClient(Options{URL: server.URL, Log: discard(nil)})
		if err != nil {
			t.Fatal(err)
		}
		product, version, err := c.detect(t.Context())
		if got := product + " " + version; err == nil && got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: %q, %v, want %q", test.body, got, err, test.want)
		}
		server.Close()
	}
}

// The templates are there before the first event, as their versions say, and other people's events stay theirs.
func TestTemplates(t *testing.T) {
	older := json.RawMessage(`{"_meta":{"version":0},"data_stream":{}}`)
	newer := json.RawMessage(`{"_meta":{"version":99},"data_stream":{}}`)
	for _, test := range []struct {
		name    string
		streams bool
		there   json.RawMessage
		stays   bool
	}{
		{"nothing", true, nil, false}, {"no streams", false, nil, false}, {"older", true, older, false},
		{"newer", true, newer, true}, {"of dated indices", true, json.RawMessage(`{"_meta":{"version":1}}`), false},
	} {
		stub := newStub(t, test.streams)
		if test.there != nil {
			stub.templates["degas-dns"] = test.there
		}
		s := open(t, Options{URL: stub.start(), Dir: t.TempDir()})
		s.Append(numbered(1))
		closeStore(t, s)
		got := stub.templates["degas-dns"]
		if test.stays != bytes.Equal(got, test.there) || stub.made != test.streams {
			t.Errorf("%s: the template is %s, data stream %v", test.name, got, stub.made)
		}
		if test.stays {
			continue
		}
		var template struct {
			Patterns []string `json:"index_patterns"`
			Priority int
			Meta     struct{ Version int } `json:"_meta"`
			Template struct {
				Mappings struct{ Dynamic any }
			}
		}
		if err := json.Unmarshal(got, &template); err != nil || template.Priority != 500 ||
			template.Meta.Version != templateVersion || template.Template.Mappings.Dynamic != false {
			t.Errorf("%s: %+v; %v", test.name, template, err)
		}
		first := slices.IndexFunc(stub.seen, func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "_bulk") })
		last := slices.IndexFunc(stub.seen, func(r *http.Request) bool {
			return r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, "/degas-dns")
		})
		if first < last || last < 0 {
			t.Errorf("%s: events before their template", test.name)
		}
	}
}

// A cluster comes back without its data: the templates are there again before the next event.
func TestClusterIsNew(t *testing.T) {
	stub := newStub(t, true)
	s := open(t, Options{URL: stub.start(), Dir: t.TempDir()})
	s.Append(numbered(1))
	eventually(t, "an event arrives", func() bool { return len(stub.rows(t)) == 1 })
	stub.locked(func() {
		clear(stub.templates)
		stub.made = false
		failed := false
		stub.before = func(w http.ResponseWriter, r *http.Request) bool {
			if failed || !strings.HasSuffix(r.URL.Path, "_bulk") {
				return false
			}
			failed = true
			failure(w, http.StatusServiceUnavailable, "", "starting")
			return true
		}
	})
	s.Append(numbered(2)[1:])
	closeStore(t, s)
	stub.all(t, 2, 2)
	if len(stub.templates) != 2 || !stub.made {
		t.Errorf("templates %v, data stream %v", stub.templates, stub.made)
	}
}

// Somebody's index has the data stream's name.
func TestStreamIsTaken(t *testing.T) {
	stub := newStub(t, true)
	stub.before = func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/_data_stream/") {
			return false
		}
		failure(w, http.StatusBadRequest, "invalid_index_name_exception", "an index exists with that name")
		return true
	}
	p := quick
	p.drain = 100 * time.Millisecond
	s := open(t, Options{URL: stub.start(), Dir: t.TempDir(), pace: p})
	s.Append(numbered(1))
	eventually(t, "an error shows", func() bool { return s.Stats().Error != nil })
	closeStore(t, s)
	if err := s.Stats().Error; !strings.Contains(err.Error(), "Try: delete the index") || stub.bulks > 0 {
		t.Errorf("%v, %d bulk requests", err, stub.bulks)
	}
}

// A cluster's answer cannot fill the memory, and what it says cannot reach a terminal.
func TestAnswerIsHostile(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			for range maxAnswer>>20 + 2 {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<20)); err != nil {
					return
				}
			}
			return
		}
		failure(w, http.StatusBadRequest, "x", "\x1b[2J\r\nlevel=INFO "+strings.Repeat("x", 10_000))
	}))
	defer server.Close()
	c, err := newClient(Options{URL: server.URL, Log: discard(nil)})
	if err != nil {
		t.Fatal(err)
	}
	err = c.do(t.Context(), http.MethodGet, "/long", nil, nil)
	if err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a long answer: %v", err)
	}
	if err := c.do(t.Context(), http.MethodGet, "/short", nil, nil); err == nil || len(err.Error()) > 2000 ||
		strings.ContainsAny(err.Error(), "\x1b\r\n") {
		t.Errorf("%q", err)
	}
}
