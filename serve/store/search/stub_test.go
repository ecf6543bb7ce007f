package search

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/degas-dns/degas/serve/store"
)

// stub is a search cluster that has what Store calls and keeps documents in memory. Hooks change its answers.
type stub struct {
	*httptest.Server
	streams bool // it has data streams

	mu        sync.Mutex
	templates map[string]json.RawMessage
	made      bool // the data stream
	docs      map[string]stored
	deleted   []string
	sizes     map[string]int64
	created   map[string]time.Time
	bulks     int
	seen      []*http.Request
	before    func(w http.ResponseWriter, r *http.Request) (done bool) // of every request
	refuse    func(action, doc []byte) (status int)                    // 0 takes the document
	after     func(w http.ResponseWriter) (done bool)                  // of bulk requests, before the answer
}

type stored struct {
	index   string
	version uint64
	doc     json.RawMessage
}

func newStub(t *testing.T, streams bool) *stub {
	t.Helper()
	s := &stub{streams: streams, templates: map[string]json.RawMessage{}, docs: map[string]stored{},
		sizes: map[string]int64{}, created: map[string]time.Time{}}
	s.Server = httptest.NewUnstartedServer(s)
	t.Cleanup(s.Close)
	return s
}

// start gives the URL, and starts the stub if need be. Hooks that are set before need no lock.
func (s *stub) start() string {
	if s.URL == "" {
		s.Start()
	}
	return s.URL
}

func failure(w http.ResponseWriter, status int, kind, reason string) {
	w.WriteHeader(status)
	answer(w, object{"error": object{"type": kind, "reason": reason}, "status": status})
}

func answer(w io.Writer, v any) { _ = json.NewEncoder(w).Encode(v) }

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = append(s.seen, r)
	if s.before != nil && s.before(w, r) {
		return
	}
	name := path.Base(r.URL.Path)
	switch {
	case r.URL.Path == "/":
		answer(w, object{"version": object{"number": "2.19.6", "distribution": "opensearch"}})
	case name == "_bulk":
		s.bulk(w, r)
	case strings.HasPrefix(r.URL.Path, "/_index_template/"):
		s.template(w, r, name)
	case strings.HasPrefix(r.URL.Path, "/_data_stream/") && r.Method == http.MethodPut:
		s.made = true
	case strings.HasPrefix(r.URL.Path, "/_data_stream/") && s.made:
		answer(w, object{"data_streams": []object{{"name": name}}})
	case name == "_settings":
		out := object{}
		for index, at := range s.created {
			out[index] = object{"settings": object{"index": object{"creation_date": fmt.Sprint(at.UnixMilli())}}}
		}
		answer(w, out)
	case strings.HasSuffix(r.URL.Path, "/_stats/store"):
		out := object{}
		for index, bytes := range s.sizes {
			out[index] = object{"total": object{"store": object{"size_in_bytes": bytes}}}
		}
		answer(w, object{"indices": out})
	case name == "_refresh", name == "_rollover":
		answer(w, object{})
	case r.Method == http.MethodDelete:
		s.deleted = append(s.deleted, name)
		delete(s.sizes, name)
		delete(s.created, name)
	default:
		failure(w, http.StatusNotFound, "not_found", r.URL.Path)
	}
}

func (s *stub) template(w http.ResponseWriter, r *http.Request, name string) {
	if r.Method == http.MethodGet {
		if s.templates[name] == nil {
			failure(w, http.StatusNotFound, "resource_not_found_exception", name)
			return
		}
		answer(w, object{"index_templates": []object{{"name": name, "index_template": s.templates[name]}}})
		return
	}
	body, _ := io.ReadAll(r.Body)
	if bytes.Contains(body, []byte(`"data_stream"`)) && !s.streams {
		failure(w, http.StatusBadRequest, "x_content_parse_exception", "unknown field [data_stream]")
		return
	}
	s.templates[name] = body
}

func (s *stub) bulk(w http.ResponseWriter, r *http.Request) {
	s.bulks++
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	items, failed := []object{}, false
	all := split(body)
	if len(all) == 0 || bytes.Count(body, []byte("\n")) != 2*len(all) {
		failure(w, http.StatusBadRequest, "illegal_argument_exception", "lines")
		return
	}
	for _, it := range all {
		var a action
		if json.Unmarshal(it.action, &a) != nil || !json.Valid(it.doc) {
			failure(w, http.StatusBadRequest, "illegal_argument_exception", "no JSON")
			return
		}
		status := http.StatusCreated
		if s.refuse != nil && s.refuse(it.action, it.doc) != 0 {
			status = s.refuse(it.action, it.doc)
		} else {
			status = s.put(path.Base(path.Dir(r.URL.Path)), a, it.doc)
		}
		one := object{"status": status}
		if status > 299 {
			failed = true
			one["error"] = object{"type": "stub_exception", "reason": "document " + string(it.doc)}
		}
		items = append(items, object{"create": one})
	}
	if s.after != nil && s.after(w) {
		return
	}
	answer(w, object{"errors": failed, "items": items})
}

func (s *stub) put(index string, a action, doc []byte) (status int) {
	at := a.Create
	if at == nil {
		at = a.Index
	}
	if at.Index != "" {
		index = at.Index
	}
	old, there := s.docs[index+"/"+at.ID]
	if there && (a.Create != nil || at.Version <= old.version) {
		return http.StatusConflict
	}
	s.docs[index+"/"+at.ID] = stored{index, at.Version, bytes.Clone(doc)}
	return http.StatusCreated
}

// rows are the events that the stub has, by name.
func (s *stub) rows(t *testing.T) map[string]int {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	out := map[string]int{}
	for _, one := range s.docs {
		var d document
		if strings.HasPrefix(one.index, countsPrefix) {
			continue
		}
		if err := json.Unmarshal(one.doc, &d); err != nil {
			t.Fatal(err)
		}
		e, err := d.event()
		if err != nil {
			t.Fatal(err)
		}
		out[e.Name]++
	}
	return out
}

// counted is how many events the stub's counts have, by step.
func (s *stub) counted(t *testing.T) (out [3]int64) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, one := range s.docs {
		var d countDocument
		for step, about := range steps {
			if !strings.HasPrefix(one.index, countsPrefix+about.name) {
				continue
			}
			if err := json.Unmarshal(one.doc, &d); err != nil {
				t.Fatal(err)
			}
			out[step] += d.Degas.Count
		}
	}
	return out
}

// locked runs f while nobody else uses the stub.
func (s *stub) locked(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// numbered are n events with names of their own, of which every tenth is flagged.
func numbered(n int) []store.Event {
	out := make([]store.Event, n)
	for i := range out {
		out[i] = store.Event{Time: time.Now(), Name: fmt.Sprintf("n%d.example", i), Domain: fmt.Sprintf("n%d.example", i),
			Client: "192.0.2.1", Type: 1, RCode: 0, Class: "benign"}
		if i%10 == 0 {
			out[i].Verdict, out[i].Class, out[i].Score = 4, "dga", 0.9
		}
	}
	return out
}

// all checks that the stub has n numbered events once each, and has counted all.
func (s *stub) all(t *testing.T, n int, counted int64) {
	t.Helper()
	rows := s.rows(t)
	if len(rows) != n {
		t.Errorf("%d events, want %d", len(rows), n)
	}
	for name, times := range rows {
		if times != 1 {
			t.Errorf("%s is there %d times", name, times)
		}
	}
	if got := s.counted(t); got != [3]int64{counted, counted, counted} {
		t.Errorf("counted %v, want %d", got, counted)
	}
}
