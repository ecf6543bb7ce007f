package main

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"
)

// urls is how many lists come from a web server, and inList how many names each list has.
const (
	urls   = 4
	inList = 1000
)

// lists serves block lists and writes one into a file. All of them fail in turn, and none may lose its entries. It also
// takes events, and fails there, too.
type lists struct {
	url, file, allow string
	server           *http.Server
	asked            [urls]atomic.Int64
	failed, events   atomic.Int64
}

func newLists(dir string) (*lists, error) {
	l := &lists{file: filepath.Join(dir, "block.txt"), allow: filepath.Join(dir, "allow.txt")}
	if err := os.WriteFile(l.file, []byte(textOf(urls)), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(l.allow, []byte("*.allowed-soak.com\n"), 0o600); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	l.url = "http://" + listener.Addr().String()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /list/{n}", l.list)
	mux.HandleFunc("POST /events", l.take)
	l.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = l.server.Serve(listener) }()
	return l, nil
}

func (l *lists) close() { l.server.Close() }

func (l *lists) of(i int) string { return fmt.Sprintf("%s/list/%d", l.url, i) }

// listed is a name of a list.
func listed(list, i int) string { return fmt.Sprintf("entry%d.list%d-soak.com", i, list) }

func textOf(list int) string {
	var b strings.Builder
	for i := range inList {
		b.WriteString(listed(list, i) + "\n")
	}
	return b.String()
}

// list answers well at first, and then in another way each time.
func (l *lists) list(w http.ResponseWriter, r *http.Request) {
	var n int
	if _, err := fmt.Sscan(r.PathValue("n"), &n); err != nil || n < 0 || n >= urls {
		http.NotFound(w, r)
		return
	}
	text := textOf(n)
	turn := l.asked[n].Add(1) - 1
	if turn > 0 {
		turn = 1 + (turn+int64(n))%7
		l.failed.Add(1)
	}
	switch turn {
	case 1:
		http.Error(w, "broken", http.StatusInternalServerError)
	case 2: // nothing at all
	case 3:
		fmt.Fprint(w, "<!DOCTYPE html><html><body>Please log in</body></html>")
	case 4: // half of it
		w.Header().Set("Content-Length", fmt.Sprint(len(text)))
		fmt.Fprint(w, text[:len(text)/2])
	case 5: // half of a gzip
		var b strings.Builder
		z := gzip.NewWriter(&b)
		fmt.Fprint(z, text)
		z.Close()
		fmt.Fprint(w, b.String()[:b.Len()/2])
	case 6:
		fmt.Fprint(w, text[:len(text)/2])
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
		case <-time.After(5 * time.Second):
		}
		panic(http.ErrAbortHandler)
	case 7:
		http.NotFound(w, r)
	default:
		fmt.Fprint(w, text)
	}
}

// take takes events, but for one request in three.
func (l *lists) take(w http.ResponseWriter, r *http.Request) {
	if l.events.Add(1)%3 == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
}

// start breaks the file of names in several ways until ctx ends.
func (l *lists) start(ctx context.Context) {
	go func() {
		for turn := 0; sleep(ctx, 3*time.Second); turn++ {
			var err error
			switch turn % 9 {
			case 0:
				err = os.WriteFile(l.file, nil, 0o600)
			case 3:
				err = os.WriteFile(l.file, []byte("<html><body>502 Bad Gateway</body></html>\n"), 0o600)
			case 6:
				err = os.Remove(l.file)
			default:
				err = os.WriteFile(l.file, []byte(textOf(urls)), 0o600)
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "soak: %v\n", err)
			}
		}
	}()
}

// ageCopies makes the copies of the lists old, so that the next reload asks for newer ones. Their form is that of
// detect/lists.
func ageCopies(dir string) {
	paths, _ := filepath.Glob(filepath.Join(dir, "degas", "lists", "*.json"))
	for _, path := range paths {
		var m map[string]any
		text, err := os.ReadFile(path)
		if err == nil && json.Unmarshal(text, &m) == nil {
			m["fetched"] = time.Unix(0, 0).UTC()
			if text, err = json.Marshal(m); err == nil {
				_ = os.WriteFile(path, text, 0o600)
			}
		}
	}
}
