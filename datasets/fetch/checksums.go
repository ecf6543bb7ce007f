package fetch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/userfile"
)

// ChecksumsName is the name of the file, in the directory given to Fetch, that remembers checksums.
const ChecksumsName = "checksums.json"

// Record is what checksums.json knows of one file.
type Record struct {
	SHA256 string `json:"sha256"` // hexadecimal
	Size   int64  `json:"size"`   // bytes
	URL    string `json:"url,omitempty"`
	// Fetched is when these bytes first came from URL, to the second; zero unless the file is Dated.
	Fetched time.Time `json:"fetched,omitzero"`
	// Replaces is the checksum pinned by the caller at the time UpdateChecksums recorded a different one; as long as
	// the pin is the same, the record counts and not the pin.
	Replaces string `json:"replaces,omitempty"`
	// Members are the files an archive was unpacked to, by path relative to the directory.
	Members map[string]Record `json:"members,omitempty"`
}

type checksumFile struct {
	Version int               `json:"version"`
	Files   map[string]Record `json:"files"`
}

// ReadChecksums returns the records of dir by file path; none when dir has no checksums.json.
func ReadChecksums(dir string) (map[string]Record, error) {
	name := filepath.Join(dir, ChecksumsName)
	data, err := userfile.Read(name, userfile.Text)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]Record{}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	var c checksumFile
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, fmt.Errorf("read %s: %w (remove it to record checksums anew)", name, err)
	}
	if c.Version != 1 {
		return nil, fmt.Errorf("read %s: version %d, this program reads version 1", name, c.Version)
	}
	if c.Files == nil {
		c.Files = map[string]Record{}
	}
	return c.Files, nil
}

// ledger is checksums.json in memory; each change is on the disk before put returns.
type ledger struct {
	dir   string
	mu    sync.Mutex
	files map[string]Record
}

func openLedger(dir string) (*ledger, error) {
	files, err := ReadChecksums(dir)
	return &ledger{dir: dir, files: files}, err
}

func (l *ledger) get(path string) (Record, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r, ok := l.files[path]
	return r, ok
}

func (l *ledger) put(path string, r Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.files[path] = r
	return atomicfile.WriteJSON(filepath.Join(l.dir, ChecksumsName), checksumFile{Version: 1, Files: l.files})
}

// want returns the checksum that f must have, "" when any is right.
func (l *ledger) want(f File) string {
	pin := strings.ToLower(f.SHA256)
	r, ok := l.get(f.Path)
	if ok && (pin == "" || r.Replaces == pin) {
		return r.SHA256
	}
	return pin
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// checkHex accepts "" and 64 hexadecimal digits.
func checkHex(sum string) error {
	if sum == "" {
		return nil
	}
	if b, err := hex.DecodeString(sum); err != nil || len(b) != sha256.Size {
		return fmt.Errorf("%q is not a SHA-256", clip(sum))
	}
	return nil
}
