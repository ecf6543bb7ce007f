package fetch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/dirlock"
	"github.com/degas-dns/degas/internal/unpack"
)

// Fetch brings files into dir and unpacks those that say so. A file that is there with the right checksum is left
// alone. One file's failure does not stop the others, except when the disk is full or ctx ends; the error joins what
// failed, one line a file, each naming the file or URL and the reason, and the Report says the same by file. What an
// interrupted call received stays in .part files and the next call continues there.
//
// With Options.From, files are copied from that folder instead, for machines without a network. There, a file is found
// by its Path or as much of the end of it as tells it apart from the other files asked for, in the simplest case its
// base name; the base name of its URL serves as well. What lies in the folder Options.Folder is preferred; what lies in
// one of Options.Others is none of these files. The error for a file that is not there is ErrNotFound; several
// different candidates are an error that names them.
//
// Fetch fails at once, without touching the network, with dirlock.ErrLocked when another process works in dir, and on
// paths that leave dir, are given twice, or checksums that are none.
func (c *Client) Fetch(ctx context.Context, dir string, files []File) (Report, error) {
	if c.o.From != "" {
		return c.importFiles(ctx, dir, files)
	}
	for _, f := range files {
		for _, u := range c.urls(f) {
			if p, err := url.Parse(u); err != nil || p.Scheme != "http" && p.Scheme != "https" || p.Host == "" {
				return Report{}, fmt.Errorf("fetch %s: %q is not an http or https URL", f.Path, redact(u))
			}
		}
	}
	return c.each(ctx, dir, files, c.download)
}

// job is the work on one file of one call. One goroutine has it; book and meter lock themselves.
type job struct {
	dir    string
	final  string // local path of the file
	f      File
	want   string // expected SHA-256, "" when any
	bounds bounds // of the archive, if the file is one
	book   *ledger
	meter  *fileMeter
}

// work brings one file to its place and fills in how that went.
type work func(context.Context, *job, *FileResult) error

// each does the work on every file, at most Parallel at once, under the directory's lock.
func (c *Client) each(ctx context.Context, dir string, files []File, do work) (Report, error) {
	if err := checkFiles(files); err != nil {
		return Report{}, err
	}
	unlock, err := dirlock.LockInside(dir)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	if err := atomicfile.Sweep(dir); err != nil {
		return Report{}, fmt.Errorf("tidy %s: %w", dir, err)
	}
	book, err := openLedger(dir)
	if err != nil {
		return Report{}, err
	}
	meters := newMeter(files, c.o.Progress)
	report := Report{Files: make([]FileResult, len(files))}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var group errgroup.Group
	group.SetLimit(max(c.o.Parallel, 1))
	for i, f := range files {
		group.Go(func() error {
			final, _ := localPath(dir, f.Path) // checked above
			j := &job{dir: dir, final: final, f: f, want: book.want(f), bounds: c.bounds, book: book,
				meter: meters.files[f.Path]}
			report.Files[i].Path = f.Path
			if err := c.one(ctx, j, &report.Files[i], do); diskFull(err) {
				stop(err)
			}
			return nil
		})
	}
	_ = group.Wait()
	var errs []error
	for _, f := range report.Files {
		report.Fetched += f.Fetched
		errs = append(errs, f.Err)
	}
	return report, errors.Join(errs...)
}

// one does the work on a file and reports how it ended.
func (c *Client) one(ctx context.Context, j *job, res *FileResult, do work) (err error) {
	if ctx.Err() != nil {
		err = fmt.Errorf("%s: not fetched: %w", j.f.Path, context.Cause(ctx))
	} else {
		err = c.bring(ctx, j, res, do)
	}
	if err != nil {
		res.Status, res.Err = Failed, err
	}
	j.meter.finish(res.Size, err)
	return err
}

// bring makes sure that the file and, for an archive, its members are in place.
func (c *Client) bring(ctx context.Context, j *job, res *FileResult, do work) error {
	if !c.o.UpdateChecksums {
		done, err := j.present(ctx, res)
		if err != nil || done {
			return err
		}
	}
	if res.Status != Present { // else only the unpacking is left
		if c.o.UpdateChecksums {
			j.want = ""
		}
		if err := os.MkdirAll(filepath.Dir(j.final), 0o755); err != nil {
			return fmt.Errorf("make folder of %s: %w", j.final, err)
		}
		if err := do(ctx, j, res); err != nil || res.Status == Missing {
			return err
		}
	}
	return j.complete(ctx, res)
}

// present looks at what is on the disk. done means nothing is left to do; Status Present without done means the archive
// is there but not unpacked. A file that is not the expected one stays until the right bytes are here to replace it.
func (j *job) present(ctx context.Context, res *FileResult) (done bool, err error) {
	tidyPart(j.final)
	rec, recorded := j.book.get(j.f.Path)
	if j.f.Extract != nil && recorded && rec.Members != nil && (j.want == "" || j.want == rec.SHA256) {
		if members, ok := j.membersPresent(ctx, rec); ok {
			*res = FileResult{Path: j.f.Path, URL: rec.URL, SHA256: rec.SHA256, Size: rec.Size, Status: Present,
				Extracted: members}
			os.Remove(j.final)
			return true, nil
		}
	}
	sum, size, err := unpack.SHA256(ctx, j.final)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("check %s: %w", j.final, err)
	}
	if j.want != "" && sum != j.want || j.want == "" && j.f.Size > 0 && size != j.f.Size {
		return false, nil
	}
	res.SHA256, res.Size, res.Status, res.URL = sum, size, Present, rec.URL
	if j.f.Extract != nil {
		return false, nil
	}
	if !recorded || rec.SHA256 != sum {
		return true, j.book.put(j.f.Path, Record{SHA256: sum, Size: size})
	}
	return true, nil
}

// complete records the file that is in place and unpacks it when it is an archive.
func (j *job) complete(ctx context.Context, res *FileResult) error {
	rec := j.record(res)
	if res.Status == Present { // else place recorded it
		if err := j.book.put(j.f.Path, rec); err != nil {
			return err
		}
	}
	if j.f.Extract == nil {
		return nil
	}
	j.meter.event(Event{Kind: EventExtract})
	var err error
	if rec.Members, err = j.unpack(ctx); err != nil {
		return err
	}
	if err := j.book.put(j.f.Path, rec); err != nil {
		return err
	}
	res.Extracted = slices.Sorted(maps.Keys(rec.Members))
	if err := os.Remove(j.final); err != nil {
		return fmt.Errorf("remove unpacked archive: %w", err)
	}
	return nil
}

// place records the finished part and then makes it the final file: a process that is killed in between must not leave
// a file of unknown origin. The caller's Check comes before both.
func (j *job) place(ctx context.Context, res *FileResult) error {
	if j.f.Check != nil {
		if err := j.f.Check(ctx, j.final+partSuffix); err != nil {
			dropPart(j.final)
			return err
		}
	}
	if err := j.book.put(j.f.Path, j.record(res)); err != nil {
		return err
	}
	return settle(j.final)
}

// record is what is to be remembered of the file.
func (j *job) record(res *FileResult) Record {
	rec := Record{SHA256: res.SHA256, Size: res.Size, URL: res.URL}
	if j.f.Dated {
		rec.Fetched = time.Now().UTC().Truncate(time.Second)
	}
	old, _ := j.book.get(j.f.Path)
	if res.Status == Present {
		rec.Replaces = old.Replaces
	}
	if j.f.Dated && (res.Status == Present || old.SHA256 == rec.SHA256 && old.URL == rec.URL) {
		rec.Fetched = old.Fetched
	}
	if pin := strings.ToLower(j.f.SHA256); pin != "" && pin != res.SHA256 {
		rec.Replaces = pin
	}
	return rec
}

// download is the work that brings a file from the network.
func (c *Client) download(ctx context.Context, j *job, res *FileResult) error {
	t := &transfer{job: j, c: c, size: j.f.Size}
	if c.o.UpdateChecksums || t.size <= 0 {
		t.size = -1
	}
	sum, size, from, err := t.run(ctx)
	res.Fetched, res.Resumed = t.fetched, t.resumed
	if status, ok := errors.AsType[*statusError](err); j.f.Optional && ok &&
		(status.code == http.StatusNotFound || status.code == http.StatusGone) {
		dropPart(j.final)
		res.Status = Missing
		return nil
	}
	if err != nil {
		if info, statErr := os.Stat(j.final + partSuffix); statErr == nil && info.Size() == 0 {
			dropPart(j.final) // there is nothing to resume from
		}
		return err
	}
	res.SHA256, res.Size, res.URL, res.Status = sum, size, from, Downloaded
	return nil
}

func checkFiles(files []File) error {
	seen := make(map[string]bool, len(files))
	for _, f := range files {
		if err := checkRelative(f.Path); err != nil {
			return fmt.Errorf("fetch: %w", err)
		}
		if seen[f.Path] {
			return fmt.Errorf("fetch: %s is listed twice", f.Path)
		}
		seen[f.Path] = true
		if err := checkHex(f.SHA256); err != nil {
			return fmt.Errorf("fetch %s: %w", f.Path, err)
		}
		if f.Extract != nil && f.Extract.Into != "" {
			if err := checkRelative(f.Extract.Into); err != nil {
				return fmt.Errorf("fetch %s: extract into: %w", f.Path, err)
			}
		}
	}
	return nil
}
