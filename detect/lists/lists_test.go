package lists

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/degas-dns/degas/detect"
)

func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func opened(t testing.TB, o Options) *Set {
	t.Helper()
	s, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// blocked is the entry and the source of a name in the block list.
func blocked(s *Set, name string) string {
	_, block, _ := s.Lists()
	m, _ := block.Find(name)
	return m.Entry + " " + m.Source
}

func allowed(s *Set, name string) bool {
	allow, _, _ := s.Lists()
	_, ok := allow.Find(name)
	return ok
}

func packed(text string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	fmt.Fprint(w, text)
	w.Close()
	return b.String()
}

func TestOpenFiles(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "folder")
	if err := os.MkdirAll(filepath.Join(folder, ".hidden"), 0o700); err != nil {
		t.Fatal(err)
	}
	hosts := write(t, filepath.Join(folder, "hosts"), "0.0.0.0 h.com\n")
	write(t, filepath.Join(folder, "README.md"), "These are lists.\n\nThey are good.\n")
	write(t, filepath.Join(folder, ".hidden", "x"), "hidden.com\n")
	gz := write(t, filepath.Join(dir, "rules.gz"), packed("||g.com^\n@@||ok.g.com^\n"))
	wide := write(t, filepath.Join(dir, "wide.txt"), "\xff\xfew\x00.\x00c\x00o\x00m\x00\n\x00")
	mine := write(t, filepath.Join(dir, "allow.txt"), "*.mine.com\nno name\nx.mine.com\n*.org\n")
	none := write(t, filepath.Join(dir, "none.txt"), "")
	ranks := write(t, filepath.Join(dir, "top.csv"), "1,a.com\n2,b.com\n3,c.com\n")
	var log bytes.Buffer
	s := opened(t, Options{Allow: []string{mine, none}, Block: []string{folder, gz, wide}, Popular: ranks, PopularTop: 2,
		Log: slog.New(slog.NewTextHandler(&log, nil))})
	for name, want := range map[string]string{"h.com": "h.com " + hosts, "x.g.com": "*.g.com " + gz,
		"w.com": "w.com " + wide, "hidden.com": " ", "x.h.com": " "} {
		if got := blocked(s, name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	allow, _, popular := s.Lists()
	if !allowed(s, "ok.g.com") || !allowed(s, "mine.com") || allowed(s, "g.com") || !allow.Below("g.com") {
		t.Error("exceptions")
	}
	if !popular.Has("b.com") || popular.Has("c.com") || !s.Ready() {
		t.Error("popular names")
	}
	var all []string
	for _, st := range s.Stats() {
		all = append(all, fmt.Sprintf("%s %s %s %d %d %d", filepath.Base(st.Name), st.Kind, st.Format, st.Entries,
			len(st.Skipped), st.Failures))
	}
	if got, want := strings.Join(all, "; "), "allow.txt allow domains 2 2 0; none.txt allow  0 0 0; "+
		"README.md block  0 0 1; hosts block hosts 1 0 0; rules.gz block adblock 2 0 0; wide.txt block domains 1 0 0; "+
		"top.csv popular ranked 2 0 0"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	for _, want := range []string{`"1 a line of another syntax, 1 all names below a public suffix"`, `try="option broad"`,
		`"line 2: a line of another syntax: no name"`, `"a list is empty"`, "a file in a folder of lists is left out"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, log.String())
		}
	}
	// Without lists, there are empty ones.
	if allow, block, popular := opened(t, Options{}).Lists(); allow.Len()+block.Len()+popular.Len() != 0 || allow == nil {
		t.Error("no lists")
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	half := packed(strings.Repeat("half.example.com\n", 1000))
	for what, c := range map[string]struct {
		o    Options
		want string
	}{
		"missing": {Options{Allow: []string{filepath.Join(dir, "missing")}}, "allow list: stat "},
		"page": {Options{Block: []string{write(t, filepath.Join(dir, "page"), "<html>")}},
			"no list of names: its lines are no domains, no hosts file"},
		"next step": {Options{Block: []string{write(t, filepath.Join(dir, "prose"), "to be done\n")}},
			"Try: one name a line"},
		"half": {Options{Block: []string{write(t, filepath.Join(dir, "half.gz"), half[:len(half)-20])}},
			"unexpected EOF"},
		"all skipped": {Options{Block: []string{write(t, filepath.Join(dir, "all"), "0.0.0.0 localhost\n::1 x.y\n")}}, ""},
		"no entry": {Options{Block: []string{write(t, filepath.Join(dir, "tld"), "*.com\n*.net\n")}},
			"it has no entry: 2 all names below a public suffix"},
		"popular folder": {Options{Popular: dir}, "is a folder"},
		"popular list":   {Options{Popular: write(t, filepath.Join(dir, "no"), "no list\n")}, "no list of popular names"},
	} {
		if _, err := Open(t.Context(), c.o); c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) ||
			c.want == "" && err != nil {
			t.Errorf("%s: %v, want %q", what, err, c.want)
		}
	}
}

// running runs a Set until the test ends. next waits for a change.
func running(t *testing.T, s *Set) (next func(what string)) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	changes := make(chan struct{}, 100)
	var done sync.WaitGroup
	done.Go(func() { s.Run(ctx, func() { changes <- struct{}{} }) })
	t.Cleanup(func() { cancel(); done.Wait() })
	return func(what string) {
		t.Helper()
		select {
		case <-changes:
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: no change", what)
		}
	}
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for range 2000 {
		if ok() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal(what)
}

func TestRunFiles(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "folder")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	path := write(t, filepath.Join(dir, "block"), "one.com\n")
	s := opened(t, Options{Block: []string{path, folder}, Every: 10 * time.Millisecond})
	s.settle = 300 * time.Millisecond
	next := running(t, s)
	write(t, path, "two.com\n")
	next("rewritten")
	if blocked(s, "one.com") != " " || blocked(s, "two.com") == " " {
		t.Error("the list did not change")
	}
	failures := func() int { return s.Stats()[0].Failures }
	for i, text := range []string{"", "<html>", "*.com\n"} { // the last good entries stay
		write(t, path, text)
		until(t, "no failure", func() bool { return failures() > i })
		if blocked(s, "two.com") == " " {
			t.Errorf("%q empties the list", text)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	until(t, "no failure", func() bool { return failures() > 3 })
	if blocked(s, "two.com") == " " || !strings.Contains(s.Stats()[0].Error, "no such file") {
		t.Errorf("after it is gone: %+v", s.Stats()[0])
	}
	began := time.Now()
	write(t, path, "# none any more\n")
	next("emptied on purpose")
	if blocked(s, "two.com") != " " || s.Stats()[0].Error != "" || time.Since(began) < s.settle/2 {
		t.Errorf("after it is empty: %+v", s.Stats()[0])
	}
	three := write(t, filepath.Join(folder, "three"), "*.three.com\n")
	next("a new file")
	if blocked(s, "x.three.com") != "*.three.com "+three {
		t.Error("a file in a folder is not seen")
	}
	if err := os.Remove(three); err != nil {
		t.Fatal(err)
	}
	next("a file less")
	if blocked(s, "x.three.com") != " " {
		t.Error("a file that was removed is still there")
	}
}

// A list that is written in place may begin with comments: its entries stay meanwhile.
func TestTitleFirst(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "block"), "one.com\n")
	s := opened(t, Options{Block: []string{path}})
	s.settle = time.Hour
	look := func() bool { return s.lookAt(t.Context(), s.sources[0]) && s.merge() == nil }
	write(t, path, "# Title\n")
	for range 2 {
		if look() || blocked(s, "one.com") == " " {
			t.Error("the title empties the list")
		}
	}
	write(t, path, "# Title\ntwo.com\n")
	if !look() || blocked(s, "two.com") == " " {
		t.Error("the names that come later are not seen")
	}
	write(t, path, "# Title\n")
	if s.settle = 0; !look() || blocked(s, "two.com") != " " {
		t.Error("it is not empty on purpose")
	}
}

// server is a web server whose answer can be changed.
type server struct {
	*httptest.Server
	answer atomic.Pointer[http.HandlerFunc]
	asked  atomic.Int64
}

func newServer(t *testing.T) *server {
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		(*s.answer.Load())(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *server) set(f http.HandlerFunc) { s.answer.Store(&f) }

// text answers with a text that has an ETag.
func (s *server) text(text, etag string) {
	s.set(func(w http.ResponseWriter, r *http.Request) {
		if etag != "" && r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", etag)
		fmt.Fprint(w, text)
	})
}

func TestRunURL(t *testing.T) {
	web, dir := newServer(t), t.TempDir()
	url := strings.Replace(web.URL, "http://", "http://user:secret@", 1) + "/list"
	shown := strings.Replace(url, "secret", "xxxxx", 1)
	o := Options{Block: []string{url}, Dir: dir, Every: 15 * time.Millisecond}
	web.text("one.com\n", `"1"`)
	s := opened(t, o)
	if got := blocked(s, "one.com"); got != "one.com "+shown {
		t.Errorf("%q", got)
	}
	next := running(t, s)
	asked := web.asked.Load()
	until(t, "it is not asked again", func() bool { return web.asked.Load() > asked+2 })
	web.text("two.com\n", `"2"`)
	next("a new version")
	if blocked(s, "one.com") != " " || blocked(s, "two.com") == " " {
		t.Error("the list did not change")
	}
	whole := packed(strings.Repeat("half.example.com\n", 1000))
	for what, f := range map[string]http.HandlerFunc{
		"404":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) },
		"empty": func(http.ResponseWriter, *http.Request) {},
		"page":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<!DOCTYPE html>\n<p>Sign in</p>") },
		"word":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "error\n") },
		"half a gzip": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, whole[:len(whole)-20])
		},
		"half an answer": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			fmt.Fprint(w, "three.com\n")
		},
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := w.(http.Hijacker).Hijack()
			if err == nil {
				fmt.Fprint(c, "HTTP/1.0 200 OK\r\n\r\nthree.com\nfour.c")
				c.Close()
			}
		},
		"304 of nothing": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(206) },
		"comments":       func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "# a list\n") },
		"too broad":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "*.com\n.\n*\n") },
	} {
		before := s.Stats()[0].Failures
		web.set(f)
		until(t, what+": no failure", func() bool { return s.Stats()[0].Failures > before })
		if blocked(s, "two.com") != "two.com "+shown || strings.Contains(s.Stats()[0].Error, "secret") {
			t.Errorf("%s: %+v", what, s.Stats()[0])
		}
	}
	// The last good copy is on disk, whatever the server says.
	if again := opened(t, o); blocked(again, "two.com") != "two.com "+shown || !again.Ready() {
		t.Error("the copy is not read")
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	hidden, _ := filepath.Glob(filepath.Join(dir, ".*"))
	if err != nil || len(left)-len(hidden) != 2 || len(hidden) > 1 { // one may be on its way
		t.Errorf("%q, %q, %v", left, hidden, err)
	}
	web.text("four.com\n", "")
	next("it is well again")
	if st := s.Stats()[0]; blocked(s, "four.com") == " " || st.Error != "" || st.Failures < 10 {
		t.Errorf("%+v", st)
	}
}

// A new version counts although nothing can be noted of it: the server does not send it again.
func TestNoteFails(t *testing.T) {
	web, dir := newServer(t), t.TempDir()
	web.text("one.com\n", `"1"`)
	s := opened(t, Options{Block: []string{web.URL}, Dir: dir})
	src := s.sources[0]
	note := src.files[0].path + ".json"
	if err := os.Remove(note); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(note, "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	web.text("two.com\n", `"2"`)
	changed, err := s.fetch(t.Context(), src, src.name)
	if !changed || err != nil || s.merge() != nil || blocked(s, "two.com") == " " {
		t.Errorf("%v, %v, %+v", changed, err, s.Stats())
	}
	if changed, err := s.fetch(t.Context(), src, src.name); changed || err != nil {
		t.Errorf("the second time: %v, %v", changed, err)
	}
}

// Without a copy, a URL that cannot be fetched is an error, unless it may come later.
func TestOpenURL(t *testing.T) {
	web := newServer(t)
	web.set(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	o := Options{Allow: []string{web.URL}, Dir: filepath.Join(t.TempDir(), "new", "folder"), Every: 10 * time.Millisecond}
	if _, err := Open(t.Context(), o); err == nil || !strings.Contains(err.Error(), "answers 503") ||
		!strings.Contains(err.Error(), "Try: again later") {
		t.Fatal(err)
	}
	o.Later = true
	s := opened(t, o)
	if s.Ready() || s.Stats()[0].Format != "" {
		t.Error("it is ready")
	}
	next := running(t, s)
	web.text(packed("a.com\n"), "x")
	next("it comes later")
	if !s.Ready() || !allowed(s, "a.com") {
		t.Errorf("%+v", s.Stats())
	}
	// A fresh copy is not asked for again.
	o.Later, o.Every = false, time.Hour
	asked := web.asked.Load()
	web.Close()
	if s := opened(t, o); !allowed(s, "a.com") || web.asked.Load() > asked+1 {
		t.Error("the copy is not taken")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, o); err == nil {
		t.Error("it goes on after its end")
	}
}

// A server that asks to wait gets its way, within a day.
func TestPause(t *testing.T) {
	s := &Set{o: Options{Every: time.Hour}}
	within := func(got, want time.Duration) bool { return got >= want*9/10 && got <= want*11/10 }
	for _, c := range []struct {
		failures int
		err      error
		want     time.Duration
	}{{0, nil, time.Hour}, {1, errors.New("x"), 30 * time.Second}, {3, errors.New("x"), 2 * time.Minute},
		{99, errors.New("x"), time.Hour}, {1, &statusError{"429", 2 * time.Hour}, 2 * time.Hour},
		{1, fmt.Errorf("x: %w", &statusError{"503", 999 * time.Hour}), 24 * time.Hour}} {
		if got := s.pause(&source{}, c.failures, c.err); !within(got, c.want) {
			t.Errorf("%d, %v: %v", c.failures, c.err, got)
		}
	}
	held := &source{wait: time.Minute} // a server that holds requests is asked again soon, whatever it said
	for failures, err := range []error{nil, errors.New("x"), errors.New("x")} {
		if got := s.pause(held, failures, err); !within(got, firstRetry) {
			t.Errorf("%d, %v: %v", failures, err, got)
		}
	}
}

// Names are found while lists are replaced.
func TestTogether(t *testing.T) {
	path := write(t, filepath.Join(t.TempDir(), "list"), "always.com\na.com\n")
	s := opened(t, Options{Block: []string{path}, Every: time.Millisecond})
	policy, err := detect.New(detect.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var live detect.Live
	live.Swap(policy.With(s.Lists()))
	ctx, cancel := context.WithCancel(t.Context())
	var all sync.WaitGroup
	all.Go(func() { s.Run(ctx, func() { live.Swap(policy.With(s.Lists())) }) })
	for range 2 {
		all.Go(func() {
			for ctx.Err() == nil {
				if live.Decide("always.com").Verdict != detect.Blocked {
					t.Error("a name is lost")
				}
				s.Stats()
				s.Ready()
			}
		})
	}
	for i := range 10 {
		write(t, path+".new", fmt.Sprintf("always.com\nn%d.com\n", i))
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
		until(t, "no new list", func() bool { return live.Decide(fmt.Sprintf("n%d.com", i)).Verdict == detect.Blocked })
	}
	cancel()
	all.Wait()
}
