// Package fetch brings files from the network, or from a folder, onto the disk so that what lands there is whole and is
// what its publisher meant.
//
// It knows nothing of data sets. A caller lists the files it wants ([File]); a [Client] downloads them in parallel into
// one directory, resumes what an earlier run left half done, checks every byte against a SHA-256 where one is known,
// records it where none is, and unpacks archives behind path and size bounds ([Extraction]).
//
// What a directory holds besides the files themselves:
//
//	checksums.json       the SHA-256 and size of every file, recorded on first use and enforced after
//	<name>.part          a download in progress
//	<name>.part.json     the validators (ETag, Last-Modified) that a resumed download sends with If-Range
//	.degas.lock          there while a process works in the directory
//
// A process that is killed leaves either the old file, the new one or a .part; running it again finishes the job.
package fetch

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// File is one file to fetch.
type File struct {
	// Path is where the file lands: relative to the directory given to Fetch, slash-separated, without "..".
	Path string
	// URL is where it comes from, http or https.
	URL string
	// Alternates hold the same bytes; they are tried in order once URL failed for good.
	Alternates []string
	// SHA256 is the expected checksum, 64 hexadecimal digits; "" when unknown: then the first download's is recorded.
	SHA256 string
	// Size is the expected length in bytes; -1 or 0 when unknown.
	Size int64
	// Most bounds the length of a file in bytes whose Size is unknown; 0 is no bound. A longer one is an error, at once.
	Most int64
	// Check, when not nil, looks at the bytes at part, before they take the place of a file that is there. On an error
	// they are removed, and what was there stays.
	Check func(ctx context.Context, part string) error
	// Dated says that the file changes: when it came is recorded. The records of others are the same whenever they came.
	Dated bool
	// Optional files may be absent at the publisher (404, 410) or in the folder that is imported from; the result says
	// Missing and Fetch does not fail.
	Optional bool
	// Extract, when not nil, says that the file is an archive and where its members go.
	Extract *Extraction
}

// Status says what Fetch did about one file.
type Status string

// What happened to a file.
const (
	Downloaded Status = "downloaded" // came over the network, at least in part
	Copied     Status = "copied"     // came from a folder
	Present    Status = "present"    // was there already with the right checksum
	Missing    Status = "missing"    // optional and not there
	Failed     Status = "failed"     // see Err
)

// FileResult is the outcome for one file.
type FileResult struct {
	Path      string // as in File
	URL       string // that the bytes came from, without credentials; a file path when Copied
	SHA256    string // hexadecimal; "" when Failed or Missing
	Size      int64  // bytes
	Fetched   int64  // bytes transferred by this call, over all attempts
	Resumed   int64  // bytes kept from an earlier run
	Status    Status
	Extracted []string // members put in place, relative to the directory, slash-separated and sorted
	Err       error    // why Status is Failed
}

// Report is the outcome of Fetch or ImportFile, one result a file, in the order of the files given.
type Report struct {
	Files   []FileResult
	Fetched int64 // bytes transferred
}

// EventKind says what an Event reports.
type EventKind string

// What an Event reports.
const (
	EventStart    EventKind = "start"    // work on a file begins; Bytes counts what an earlier run left
	EventProgress EventKind = "progress" // more bytes; at most about ten a second and file
	EventRetry    EventKind = "retry"    // an attempt failed with Err, the next follows after Wait
	EventExtract  EventKind = "extract"  // the archive is being unpacked
	EventDone     EventKind = "done"     // the file is in place (or was)
	EventFailed   EventKind = "failed"   // given up, see Err
)

// Event is one step of progress. Events of one call arrive one at a time.
type Event struct {
	Kind       EventKind
	Path       string        // the file, as in File.Path
	Bytes      int64         // of this file so far
	Size       int64         // of this file in bytes; -1 while unknown
	TotalBytes int64         // over all files so far
	TotalSize  int64         // over all files in bytes; -1 while one is unknown
	Done       int           // files finished or given up
	Files      int           // files in this call
	Wait       time.Duration // EventRetry: until the next attempt
	Err        error         // EventRetry, EventFailed
}

// Errors that callers test for.
var (
	// ErrChecksum: the bytes are not the ones that were expected.
	ErrChecksum = errors.New("fetch: wrong checksum")
	// ErrUnsafe: an archive tried to write outside its directory, or holds a link or a device.
	ErrUnsafe = errors.New("fetch: unsafe archive")
	// ErrBomb: an archive unpacks to more than its limits allow.
	ErrBomb = errors.New("fetch: archive exceeds its limits")
	// ErrFormat: a file is not an archive of a known kind, or a damaged one.
	ErrFormat = errors.New("fetch: not a readable archive")
	// ErrNotFound: the folder in Options.From holds no such file.
	ErrNotFound = errors.New("fetch: file not found")
)

// checksumError says which bytes were expected and which came. It is ErrChecksum.
type checksumError struct {
	Path      string // where the file was to land
	URL       string // where it came from, or a file path
	Want, Got string // SHA-256, or "N bytes" when already the length is wrong
}

func (e *checksumError) Error() string {
	return fmt.Sprintf("%s from %s: wrong checksum: expected %s, got %s", e.Path, e.URL, e.Want, e.Got)
}

func (e *checksumError) Is(target error) bool { return target == ErrChecksum }

// localPath turns a slash-separated relative path into one below dir, and refuses everything that would leave it.
func localPath(dir, slashed string) (string, error) {
	if err := checkRelative(slashed); err != nil {
		return "", err
	}
	return filepath.Join(dir, filepath.FromSlash(slashed)), nil
}

// checkRelative accepts clean, relative, printable slash paths that stay below their directory on every system.
func checkRelative(slashed string) error {
	switch {
	case slashed == "" || slashed == "." || !fs.ValidPath(slashed):
		return fmt.Errorf("path %q is not a clean relative path", slashed)
	case len(slashed) > 1024 || !utf8.ValidString(slashed):
		return fmt.Errorf("path %q is too long or not UTF-8", clip(slashed))
	case strings.ContainsFunc(slashed, func(r rune) bool { return r == '\\' || unicode.IsControl(r) }):
		return fmt.Errorf("path %q holds a backslash or a control character", slashed)
	case len(slashed) > 1 && slashed[1] == ':' || !filepath.IsLocal(filepath.FromSlash(slashed)):
		return fmt.Errorf("path %q is not local", slashed)
	}
	return nil
}

func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
