package lists

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/internal/linkwalk"
	"github.com/degas-dns/degas/internal/userfile"
)

// source is an element of Options.
type source struct {
	kind  string
	name  string // path or URL
	shown string // name without a password and without a query, which may have a token
	url   bool
	// A URL with ?wait=30s is of a server that holds the request until the list changes. quick is the URL without it.
	wait   time.Duration
	quick  string
	client *http.Client
	folder bool
	files  []*file // one, unless it is a folder
	meta   meta    // of a URL. It is that of the goroutine that fetches it
	said   string  // the last error of a folder that was logged
}

// file is a file of names. Set.mu guards what changes.
type file struct {
	path  string
	shown string // as a Match names it
	stamp userfile.Stamp

	content  *content // nil if it has never been read
	loaded   time.Time
	failures int
	err      error
}

func newSource(kind, name string) *source {
	s := &source{kind: kind, name: name, shown: name, url: isURL(name)}
	if s.url {
		s.shown = shownURL(name)
		s.quick, s.wait = withoutWait(name)
	}
	s.files = []*file{{path: name, shown: s.shown}}
	return s
}

// mostWait bounds how long a request is held.
const mostWait = 5 * time.Minute

// withoutWait is a URL without its parameter wait, and the parameter.
func withoutWait(name string) (string, time.Duration) {
	u, err := url.Parse(name)
	if err != nil {
		return name, 0
	}
	q := u.Query()
	wait, err := time.ParseDuration(q.Get("wait"))
	if err != nil || wait <= 0 || wait > mostWait {
		return name, 0
	}
	q.Del("wait")
	u.RawQuery = q.Encode()
	return u.String(), wait
}

// shownURL is a URL without what may be a secret.
func shownURL(name string) string {
	u, err := url.Parse(name)
	if err != nil { // then nobody knows where a password ends
		scheme, _, _ := strings.Cut(name, "://")
		return scheme + "://…"
	}
	if u.RawQuery != "" {
		u.RawQuery = "…"
	}
	u.Fragment = ""
	return u.Redacted()
}

// tellApart numbers URLs that are shown alike.
func tellApart(sources []*source) {
	first := map[string]string{} // shown to name
	for _, src := range sources {
		if !src.url {
			continue
		}
		shown := src.shown
		for n := 2; first[shown] != "" && first[shown] != src.name; n++ {
			shown = fmt.Sprintf("%s (%d)", src.shown, n)
		}
		first[shown] = src.name
		src.shown, src.files[0].shown = shown, shown
	}
}

// open reads a source for the first time.
func (s *Set) open(ctx context.Context, src *source) error {
	if src.url {
		return s.openURL(ctx, src)
	}
	info, err := os.Stat(src.name)
	if err != nil {
		return fmt.Errorf("%s list: %w", src.kind, err)
	}
	if src.folder = info.IsDir(); !src.folder {
		if s.readFile(ctx, src, src.files[0]); src.files[0].content == nil {
			return fmt.Errorf("%s list: %w%s", src.kind, src.files[0].err, hint(src.files[0].err))
		}
		return nil
	}
	src.files = nil
	if src.kind == popular {
		return fmt.Errorf("popular list: %s is a folder. Try: one of its files", src.name)
	}
	if _, err := s.readFolder(ctx, src); err != nil {
		return fmt.Errorf("%s list: %w", src.kind, err)
	}
	if len(src.files) == 0 {
		s.o.Log.Warn("a folder of lists has no file", "folder", src.shown)
	}
	return nil
}

// look reads what changed on disk.
func (s *Set) lookAt(ctx context.Context, src *source) (changed bool) {
	if src.folder {
		changed, err := s.readFolder(ctx, src)
		if err != nil && ctx.Err() == nil && err.Error() != src.said {
			s.o.Log.Warn("a folder of lists cannot be read, its entries stay", "folder", src.shown, "error", err)
		}
		if src.said = ""; err != nil {
			src.said = err.Error()
		}
		return changed
	}
	return s.readFile(ctx, src, src.files[0])
}

// readFolder reads the files of a folder that are new or changed, and forgets those that are gone.
func (s *Set) readFolder(ctx context.Context, src *source) (changed bool, err error) {
	var paths []string
	_, err = linkwalk.Visible(src.name, func(rel string, info fs.FileInfo, err error) error {
		switch {
		case err != nil && (rel == "." || info != nil): // the root, or a folder
			return err
		case err == nil && info.Mode().IsRegular():
			paths = append(paths, filepath.Join(src.name, filepath.FromSlash(rel)))
		}
		return ctx.Err()
	})
	if err != nil {
		return false, err
	}
	slices.Sort(paths)
	var files []*file
	for _, path := range paths {
		i := slices.IndexFunc(src.files, func(f *file) bool { return f.path == path })
		f := &file{path: path, shown: path}
		if i >= 0 {
			f = src.files[i]
		}
		changed = s.readFile(ctx, src, f) || changed
		files = append(files, f)
	}
	for _, f := range src.files {
		if f.content != nil && !slices.Contains(files, f) {
			changed = true
			s.o.Log.Info("a list was removed", "list", f.shown)
		}
	}
	s.mu.Lock()
	src.files = files
	s.mu.Unlock()
	return changed, nil
}

// readFile reads a file if it has changed since the last time. What cannot be read leaves what was there.
func (s *Set) readFile(ctx context.Context, src *source, f *file) (changed bool) {
	stamp, err := userfile.StampOf(f.path)
	if stamp == f.stamp && (err == nil || f.err != nil) { // as it was, or still gone
		return false
	}
	var c *content
	if err == nil {
		c, err = parseFile(ctx, f.path, s.options(src, f))
	}
	if ctx.Err() != nil {
		return false
	}
	if err == nil && f.content != nil && c.format == "" && s.written(stamp) {
		return false // until it is looked at again
	}
	f.stamp = stamp
	if err == errEmpty && f.content == nil {
		s.o.Log.Warn("a list is empty", "list", f.shown)
		c, err = nothing(src.kind, f.shown), nil
	}
	if err == nil && c.entries == 0 && c.format != "" {
		err = fmt.Errorf("it has no entry: %s", c.summary())
	}
	return s.take(src, f, c, err)
}

// written reports whether a file may be being written just now. One that has comments alone may get its names yet.
func (s *Set) written(stamp userfile.Stamp) bool {
	return time.Since(time.Unix(0, cmp.Or(stamp.Changed, stamp.Modified))).Abs() < s.settle
}

// nothing is the content of a file without a line.
func nothing(kind, source string) *content {
	return &content{main: detect.NewEntries(source, kind == allow), exceptions: detect.NewEntries(source, true)}
}

func (s *Set) options(src *source, f *file) options {
	return options{kind: src.kind, source: f.shown, remote: src.url, broad: s.o.Broad, top: s.o.PopularTop}
}

// take puts what was read in place, or notes why it could not be.
func (s *Set) take(src *source, f *file, c *content, err error) (changed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		f.failures++
		f.err = fmt.Errorf("%s: %w", f.shown, err)
		if f.content != nil {
			s.o.Log.Warn("a list cannot be read, its last good entries stay", "list", f.shown, "entries", f.content.entries,
				"failures", f.failures, "error", err)
		} else if src.folder {
			s.o.Log.Warn("a file in a folder of lists is left out", "file", f.shown, "error", err)
		}
		return false
	}
	log := s.o.Log.Info
	if f.loaded.IsZero() { // nobody needs to be told that all is well
		log = s.o.Log.Debug
	}
	f.content, f.err, f.loaded = c, nil, time.Now()
	args := []any{"list", f.shown, "kind", src.kind, "format", c.format, "entries", c.entries}
	if len(c.skipped) > 0 {
		log = s.o.Log.Warn
		args = append(args, "left out", c.summary(), "the first", c.first)
		if c.skipped[isBroad] > 0 && !s.o.Broad {
			args = append(args, "try", "option broad")
		}
	}
	log("a list is loaded", args...)
	return true
}

// hint says what to try if a list cannot be read.
func hint(err error) string {
	if errors.Is(err, errNoList) {
		return ". Try: one name a line, such as example.com or *.example.com"
	}
	return ""
}

func isURL(name string) bool {
	scheme, _, ok := strings.Cut(name, "://")
	return ok && (strings.EqualFold(scheme, "http") || strings.EqualFold(scheme, "https"))
}
