package fetch

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/userfile"
)

const (
	partSuffix = ".part"
	metaSuffix = ".part.json"
)

// partFile is what a download needs of the file it grows.
type partFile interface {
	io.ReadWriteSeeker
	io.Closer
	Truncate(size int64) error
	Sync() error
}

func openPart(name string, flag int) (partFile, error) { return os.OpenFile(name, flag, 0o644) }

// partMeta is kept beside a .part: what the server said about the file that the bytes belong to.
type partMeta struct {
	URL          string `json:"url"`
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	Size         int64  `json:"size"` // of the whole file; -1 unknown
}

func metaOf(url string, h http.Header, size int64) partMeta {
	return partMeta{URL: url, ETag: h.Get("ETag"), LastModified: h.Get("Last-Modified"), Size: size}
}

// validator is what If-Range may carry: a strong ETag, else the date, else "".
func (m partMeta) validator() string {
	if m.ETag != "" && !strings.HasPrefix(m.ETag, "W/") {
		return m.ETag
	}
	return m.LastModified
}

// sameFile tells whether the answer's header speaks of the same bytes as m.
func (m partMeta) sameFile(o partMeta) bool {
	return (m.ETag == "" || o.ETag == "" || m.ETag == o.ETag) &&
		(m.LastModified == "" || o.LastModified == "" || m.LastModified == o.LastModified) &&
		(m.Size < 0 || o.Size < 0 || m.Size == o.Size)
}

func readMeta(final string) (partMeta, bool) {
	var m partMeta
	data, err := userfile.Read(final+metaSuffix, userfile.Text)
	if err != nil || json.Unmarshal(data, &m) != nil {
		return partMeta{}, false
	}
	return m, true
}

func writeMeta(final string, m partMeta) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return atomicfile.Write(final+metaSuffix, append(data, '\n'))
}

// dropPart removes what an unfinished download of final left.
func dropPart(final string) {
	os.Remove(final + partSuffix)
	os.Remove(final + metaSuffix)
}

// settle makes the finished part, which has been synced, the final file.
func settle(final string) error {
	if err := atomicfile.Rename(final+partSuffix, final); err != nil {
		return fmt.Errorf("put %s in place: %w", final, err)
	}
	tidyPart(final)
	return nil
}

// tidyPart removes what a part left that is in place by now: nothing is resumed without the part.
func tidyPart(final string) {
	if _, err := os.Lstat(final + partSuffix); errors.Is(err, fs.ErrNotExist) {
		os.Remove(final + metaSuffix)
	}
}
