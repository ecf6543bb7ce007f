package lists

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestWithoutWait(t *testing.T) {
	for in, want := range map[string]string{
		"https://a:b@h/l?wait=30s":       "https://a:b@h/l 30s",
		"https://h/l?x=1&wait=1m&y=%26":  "https://h/l?x=1&y=%26 1m0s",
		"https://h/l?wait=soon":          "https://h/l?wait=soon 0s",
		"https://h/l?wait=-1s":           "https://h/l?wait=-1s 0s",
		"https://h/l?wait=24h":           "https://h/l?wait=24h 0s",
		"https://h/l?b=1&a=2":            "https://h/l?b=1&a=2 0s",
		"https://h/%zz?wait=30s":         "https://h/%zz?wait=30s 0s",
		"https://h/l?wait=30s&wait=soon": "https://h/l 30s",
	} {
		if quick, wait := withoutWait(in); fmt.Sprint(quick, " ", wait) != want {
			t.Errorf("%s: %s, %v, want %s", in, quick, wait, want)
		}
	}
}

// A server that holds requests is asked again at once when it has answered, but it is not held at the start. A server
// that knows nothing of that is not asked all the time.
func TestWait(t *testing.T) {
	var names atomic.Pointer[string]
	var asked, held, ignorant atomic.Int64
	names.Store(&[]string{"a.com\n"}[0])
	mux := http.NewServeMux()
	mux.HandleFunc("/holds", func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		text := *names.Load()
		etag := fmt.Sprintf("%q", strings.TrimSpace(text))
		if r.FormValue("wait") != "" && r.Header.Get("If-None-Match") == etag {
			held.Add(1)
			for text == *names.Load() && r.Context().Err() == nil {
				time.Sleep(time.Millisecond)
			}
			text = *names.Load()
			etag = fmt.Sprintf("%q", strings.TrimSpace(text))
		}
		w.Header().Set("ETag", etag)
		_, _ = io.WriteString(w, text)
	})
	mux.HandleFunc("/ignorant", func(w http.ResponseWriter, r *http.Request) {
		ignorant.Add(1)
		if w.Header().Set("ETag", `"1"`); r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = io.WriteString(w, "i.com\n")
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	o := Options{Allow: []string{server.URL + "/holds?wait=2m", server.URL + "/ignorant?wait=2m"}, Dir: t.TempDir()}
	if s := opened(t, o); !allowed(s, "a.com") || !allowed(s, "i.com") {
		t.Fatal("the lists are not read")
	}
	o.Every = time.Nanosecond // so that Open asks, although there is a copy
	s := opened(t, o)
	if held.Load() != 0 {
		t.Error("the start waits")
	}
	s.o.Every = time.Hour
	ctx, cancel := context.WithCancel(t.Context())
	changed := make(chan struct{}, 9)
	ended := make(chan struct{})
	go func() { defer close(ended); s.Run(ctx, func() { changed <- struct{}{} }) }()
	for _, name := range []string{"b.com", "c.com"} {
		names.Store(&[]string{name + "\n"}[0])
		for !allowed(s, name) {
			select {
			case <-changed:
			case <-time.After(20 * time.Second):
				t.Fatalf("%s is not there: asked %d times", name, asked.Load())
			}
		}
	}
	if ignorant.Load() > 4 || asked.Load() > 6 {
		t.Errorf("asked %d and %d times", ignorant.Load(), asked.Load())
	}
	cancel()
	<-ended
}
