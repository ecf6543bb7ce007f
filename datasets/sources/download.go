package sources

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/fetch"
	"github.com/degas-dns/degas/datasets/formats"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/dirlock"
	"github.com/degas-dns/degas/internal/unpack"
)

// Options are the options of Download.
type Options struct {
	// From is a folder to take files from instead of the network. Mirror is a URL prefix under which a copy of the output
	// directory is published: files come from Mirror/<source>/<file> instead of their publishers.
	From, Mirror string
	// UpdateChecksums accepts files that have changed since they were first fetched.
	UpdateChecksums bool
	// Format, Class and Family describe the file of a URL argument, see process-data's sidecars.
	Format, Class, Family string
	// Token authorises the request for console:URL, unless the URL has one. No other server gets it.
	Token string
	// Progress, if not nil, is told what happens to each file, one call at a time.
	Progress func(fetch.Event)
	// Client, if not nil, is used in place of one made from the fields above.
	Client *fetch.Client
}

// Report lists the files in place after a download, paths relative to the output directory.
type Report struct {
	Files []fetch.FileResult `json:"-"`
	// Paths are the files of all sources, slash-separated.
	Paths []string `json:"paths"`
	// Decisions counts what people decided by label, where console: was asked for. What does not count is "left out".
	Decisions map[string]int64 `json:"decisions,omitempty"`
	// Fetched is the bytes that came over the network.
	Fetched int64 `json:"fetched_bytes"`
}

// Download brings sources, by name, as http, https or file URLs, or as console:URL and console:FILE, into folders of
// out. No argument means the built-in sample. What is there already with the right checksum is left alone. A source
// that fails does not keep the others from being fetched; the error joins what failed, and for each says what else to
// try.
func Download(ctx context.Context, out string, args []string, o Options) (*Report, error) {
	if len(args) == 0 {
		args = []string{"sample"}
	}
	records, err := fetch.ReadChecksums(filepath.Join(out, urlFolder))
	if err != nil {
		return nil, err
	}
	names := urlNames{}
	for name, rec := range records {
		names[name] = rec.URL
	}
	var wanted []target
	for _, a := range args { // all names are looked up before the first byte is fetched
		t, err := o.target(a, names)
		if err != nil {
			return nil, err
		}
		wanted = append(wanted, t)
	}
	c := o.Client
	if c == nil {
		c = fetch.New(fetch.Options{
			From: o.From, Mirror: o.Mirror, UpdateChecksums: o.UpdateChecksums, Progress: o.Progress,
		})
	}
	report := &Report{}
	var failures []error
	for _, t := range wanted {
		if err := report.fetchSource(ctx, c, out, t); err != nil {
			failures = append(failures, err)
		}
		if ctx.Err() != nil {
			break
		}
	}
	return report, errors.Join(failures...)
}

// target is one thing to download.
type target struct {
	Source
	local   string           // the file that a file URL names
	base    string           // the name of a URL's file in the folder url
	sidecar []byte           // what to write beside it; nil for nothing
	token   string           // of console:URL
	decided map[string]int64 // of console:, decisions by label once they are in place; nil for others
}

// Check is an error if arg is nothing that Download takes.
func Check(arg string) error {
	if where, ok := isConsole(arg); ok {
		_, err := Options{}.console(where)
		return err
	}
	if strings.Contains(arg, "://") {
		return nil
	}
	_, err := Lookup(arg)
	return err
}

// urlFolder is where the files of URL arguments go.
const urlFolder = "url"

// target finds the named source, or makes one up for a URL.
func (o Options) target(arg string, names urlNames) (target, error) {
	if where, ok := isConsole(arg); ok {
		return o.console(where)
	}
	if !strings.Contains(arg, "://") {
		s, err := Lookup(arg)
		return target{Source: s}, err
	}
	u, err := url.Parse(arg)
	if err != nil {
		return target{}, fmt.Errorf("source %q: %w", arg, err)
	}
	base := path.Base(u.Path)
	if base == "." || base == "/" {
		return target{}, fmt.Errorf("source %q: the URL names no file", arg)
	}
	origin := u.Redacted()
	t := target{Source: Source{Name: urlFolder, Title: origin}}
	switch u.Scheme {
	case "http", "https":
	case "file":
		t.local, _ = LocalFile(arg)
		origin = t.local
	default:
		return target{}, fmt.Errorf("source %q: the scheme must be http, https or file", arg)
	}
	t.base = names.name(base, origin)
	t.Files = func(context.Context, *fetch.Client) ([]fetch.File, error) {
		return []fetch.File{{Path: t.base, URL: arg, Size: -1, Extract: unpackURL(t.base)}}, nil
	}
	t.sidecar, err = o.sidecar()
	return t, err
}

// LocalFile is the file of this machine that an argument of Download names, if it does.
func LocalFile(arg string) (path string, ok bool) {
	if where, ok := isConsole(arg); ok {
		return where, !Changes(arg)
	}
	u, err := url.Parse(arg)
	if err != nil || u.Scheme != "file" {
		return "", false
	}
	path = filepath.FromSlash(u.Path)
	if filepath.VolumeName(strings.TrimPrefix(path, string(filepath.Separator))) != "" { // file:///C:/x
		path = path[1:]
	}
	return path, true
}

// unpackURL unpacks the kinds of archive that process-data does not read as they are. fetch refuses .xz and .7z, and
// names the command that unpacks them.
func unpackURL(base string) *fetch.Extraction {
	lower := strings.ToLower(base)
	for _, ext := range []string{".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.zst", ".xz", ".txz", ".7z"} {
		if strings.HasSuffix(lower, ext) && len(lower) > len(ext) {
			return &fetch.Extraction{Into: base + ".d"}
		}
	}
	return nil
}

// sidecar is what says what a URL's file holds; nil when nothing was declared.
func (o Options) sidecar() ([]byte, error) {
	if o.Format == "" && o.Class == "" && o.Family == "" {
		return nil, nil
	}
	if o.Format != "" {
		if _, err := formats.Lookup(o.Format); err != nil {
			return nil, err
		}
	}
	if o.Class != "" {
		if _, err := datasets.ParseClass(o.Class); err != nil {
			return nil, err
		}
	}
	data, err := json.MarshalIndent(map[string]string{"format": o.Format, "class": o.Class, "family": o.Family}, "", "  ")
	return append(data, '\n'), err
}

// fetchSource fetches or writes one source.
func (r *Report) fetchSource(ctx context.Context, c *fetch.Client, out string, t target) error {
	dir := filepath.Join(out, t.Name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if t.Write != nil {
		if err := t.Write(ctx, dir); err != nil {
			return fmt.Errorf("write %s: %w", t.Name, err)
		}
		return r.list(out, dir)
	}
	c = t.client(c)
	files, err := t.Files(ctx, c)
	if err != nil {
		return t.withHint(err)
	}
	var got fetch.Report
	if t.local != "" {
		o := c.Options()
		o.UpdateChecksums = true // the file is the user's own: what it holds now is what counts
		got, err = fetch.New(o).ImportFile(ctx, t.local, dir, files[0])
	} else {
		got, err = c.Fetch(ctx, dir, files)
	}
	r.Fetched += got.Fetched
	r.Files = append(r.Files, got.Files...)
	if err == nil && !slices.ContainsFunc(got.Files, func(f fetch.FileResult) bool { return f.Status != fetch.Missing }) {
		err = fmt.Errorf("%w: none of %d files, such as %s", fetch.ErrNotFound, len(files), files[0].Path)
	}
	if err == nil {
		err = t.writeSidecars(dir, got.Files)
	}
	if err != nil {
		return t.withHint(err)
	}
	if t.decided != nil && r.Decisions == nil {
		r.Decisions = map[string]int64{}
	}
	for label, n := range t.decided {
		r.Decisions[label] += n
	}
	return r.list(out, dir)
}

// client narrows c to this source's folder in a mirror or a --from directory.
func (t target) client(c *fetch.Client) *fetch.Client {
	o := c.Options()
	switch {
	case t.Name == consoleName: // nobody has a copy of what people decide
		o.From, o.Mirror, o.Token, o.UpdateChecksums = "", "", t.token, true
	case o.From != "" && t.base != "", o.From == "" && o.Mirror == "":
		return c // a URL's file may be in any folder
	case o.From != "":
		o.Folder = t.Name
		for _, s := range All() {
			if s.Title != t.Title { // sizes of one data set have one title
				o.Others = append(o.Others, s.Name)
			}
		}
	default:
		o.Mirror += "/" + t.Name
	}
	return fetch.New(o)
}

// writeSidecars writes the sidecar beside the file of the URL, or beside each file that was unpacked from it.
func (t target) writeSidecars(dir string, results []fetch.FileResult) error {
	if t.sidecar == nil {
		return nil
	}
	unlock, err := dirlock.LockInside(dir) // who has it may sweep away what is being written
	if err != nil {
		return err
	}
	defer unlock()
	for _, res := range results {
		names := res.Extracted
		if len(names) == 0 {
			names = []string{res.Path}
		}
		for _, name := range names {
			file := filepath.Join(dir, filepath.FromSlash(name))
			if err := atomicfile.Write(file+formats.SidecarSuffix, t.sidecar); err != nil {
				return err
			}
		}
	}
	return nil
}

// urlNames has the files in the folder of URLs by name: which URL or local file each came from.
type urlNames map[string]string

// name returns base. If another URL already uses base, name prefixes it with eight digits of origin's checksum.
func (n urlNames) name(base, origin string) string {
	if owner := n[base]; owner != "" && owner != origin {
		base = fmt.Sprintf("%.4x-%s", sha256.Sum256([]byte(origin)), base)
	}
	n[base] = origin
	return base
}

// withHint adds to err what to do when the source cannot be had.
func (s Source) withHint(err error) error {
	hint := "Try: the same command again, --mirror URL, or --from DIR with a copy of the files"
	if s.Dead != "" {
		hint = s.Dead
	}
	_, local := errors.AsType[*fs.PathError](err)
	if _, kind := errors.AsType[*unpack.KindError](err); local || kind { // no other server would help
		return fmt.Errorf("download %s: %w", s.Name, err)
	}
	return fmt.Errorf("download %s: %w. %s", s.Name, err, hint)
}

// list adds the files now in dir.
func (r *Report) list(out, dir string) error {
	return filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasPrefix(d.Name(), ".") || d.Name() == fetch.ChecksumsName {
			return err
		}
		rel, err := filepath.Rel(out, p)
		r.Paths = append(r.Paths, filepath.ToSlash(rel))
		return err
	})
}
