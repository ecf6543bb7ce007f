package datasets

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/degas-dns/degas/datasets/fetch"
	"github.com/degas-dns/degas/internal/atomicfile"
)

// DownloadOptions are the knobs of Download.
type DownloadOptions struct {
	// From is a folder to take files from instead of the network; Mirror a URL prefix that stands in for publishers.
	From, Mirror string
	// UpdateChecksums accepts files that have changed since they were first fetched.
	UpdateChecksums bool
	// Format, Class and Family describe the file of a URL argument, see process-data's sidecars.
	Format, Class, Family string
	// Version goes into the user agent.
	Version string
	// Progress, if not nil, is told what happens to each file, one call at a time.
	Progress func(fetch.Event)
	// Client, if not nil, is used in place of one made from the fields above.
	Client *fetch.Client
}

// DownloadReport lists the files in place after a download, paths relative to the output directory.
type DownloadReport struct {
	Files []fetch.FileResult `json:"-"`
	// Paths are the files of all sources, slash-separated.
	Paths []string `json:"paths"`
	// Fetched is the bytes that came over the network.
	Fetched int64 `json:"fetched_bytes"`
}

// Download brings sources, by name or as http, https or file URLs, into folders of out. No argument means the built-in
// sample. What is there already with the right checksum is left alone.
func Download(ctx context.Context, out string, args []string, o DownloadOptions) (*DownloadReport, error) {
	if len(args) == 0 {
		args = []string{"sample"}
	}
	var wanted []Source
	for _, a := range args { // all names are looked up before the first byte is fetched
		s, err := o.source(a)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, s)
	}
	c := o.Client
	if c == nil {
		c = fetch.New(fetch.Options{From: o.From, Mirror: o.Mirror, UpdateChecksums: o.UpdateChecksums, Version: o.Version, Progress: o.Progress})
	}
	report := &DownloadReport{}
	for _, s := range wanted {
		if err := report.bring(ctx, c, out, s, o); err != nil {
			return report, err
		}
	}
	return report, nil
}

// source is the named source, or one made up for a URL.
func (o DownloadOptions) source(arg string) (Source, error) {
	if !strings.Contains(arg, "://") {
		return LookupSource(arg)
	}
	u, err := url.Parse(arg)
	if err != nil {
		return Source{}, fmt.Errorf("source %q: %w", arg, err)
	}
	base := path.Base(u.Path)
	if base == "." || base == "/" {
		return Source{}, fmt.Errorf("source %q: the URL names no file", arg)
	}
	s := Source{Name: "url", Title: arg}
	switch u.Scheme {
	case "http", "https":
		s.Files = func(context.Context, *fetch.Client) ([]fetch.File, error) {
			return []fetch.File{{Path: base, URL: arg, Size: -1}}, nil
		}
	case "file":
		s.Write = func(ctx context.Context, dir string) error {
			local := filepath.FromSlash(u.Path)
			if _, err := os.Stat(local); err != nil {
				return err
			}
			c := fetch.New(fetch.Options{Progress: o.Progress, UpdateChecksums: true})
			_, err := c.Import(ctx, filepath.Dir(local), dir, []fetch.File{{Path: base, URL: arg, Size: -1}})
			return err
		}
	default:
		return Source{}, fmt.Errorf("source %q: the scheme must be http, https or file", arg)
	}
	if o.Format == "" && o.Class == "" && o.Family == "" {
		return s, nil
	}
	return o.described(s, base)
}

// described adds a sidecar that says what a URL's file holds.
func (o DownloadOptions) described(s Source, base string) (Source, error) {
	if o.Format != "" {
		if _, err := ReaderByName(o.Format); err != nil {
			return s, err
		}
	}
	if o.Class != "" {
		if _, err := ParseClass(o.Class); err != nil {
			return s, err
		}
	}
	data, err := json.MarshalIndent(map[string]string{"format": o.Format, "class": o.Class, "family": o.Family}, "", "  ")
	if err != nil {
		return s, err
	}
	note := func(dir string) error {
		return atomicfile.Write(filepath.Join(dir, base+sidecarSuffix), append(data, '\n'))
	}
	if write := s.Write; write != nil {
		s.Write = func(ctx context.Context, dir string) error { return errors.Join(note(dir), write(ctx, dir)) }
		return s, nil
	}
	files := s.Files
	s.Files = nil
	s.Write = func(ctx context.Context, dir string) error {
		c := fetch.New(fetch.Options{Mirror: o.Mirror, UpdateChecksums: o.UpdateChecksums, Version: o.Version, Progress: o.Progress})
		list, err := files(ctx, c)
		if err != nil {
			return err
		}
		if err := note(dir); err != nil {
			return err
		}
		_, err = c.Fetch(ctx, dir, list)
		return err
	}
	return s, nil
}

// bring fetches or writes one source.
func (r *DownloadReport) bring(ctx context.Context, c *fetch.Client, out string, s Source, o DownloadOptions) error {
	dir := filepath.Join(out, s.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if s.Write != nil {
		if err := s.Write(ctx, dir); err != nil {
			return fmt.Errorf("write %s: %w", s.Name, err)
		}
		return r.list(out, dir)
	}
	files, err := s.Files(ctx, c)
	if err != nil {
		return s.failed(err)
	}
	got, err := c.Fetch(ctx, dir, files)
	r.Fetched += got.Fetched
	r.Files = append(r.Files, got.Files...)
	if err != nil {
		return s.failed(err)
	}
	return r.list(out, dir)
}

// failed says what to do when a source cannot be had.
func (s Source) failed(err error) error {
	hint := "Try: the same command again, --mirror URL, or --from DIR with a copy of the files"
	if s.Dead != "" {
		hint = "This source is " + s.Dead
	}
	return fmt.Errorf("download %s: %w\n%s", s.Name, err, hint)
}

// list adds the files now in dir.
func (r *DownloadReport) list(out, dir string) error {
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") || d.Name() == "checksums.json" {
			return err
		}
		rel, err := filepath.Rel(out, p)
		r.Paths = append(r.Paths, filepath.ToSlash(rel))
		return err
	})
}
