package stream

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"time"

	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events/follow"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/userfile"
)

// head is the first line of a state file. What watch.Save wrote comes behind it.
type head struct {
	Version int            `json:"degas_watch"`
	Saved   time.Time      `json:"saved"`
	Places  []follow.State `json:"places"`
}

const stateVersion = 1

// mostHead bounds the first line in bytes: it has a place for each log.
const mostHead = 4 << 20

// save writes the state, whole or not at all.
func (r *runner) save(now time.Time, places []follow.State) error {
	err := atomicfile.WriteFunc(r.State, func(w io.Writer) error {
		places = slices.DeleteFunc(slices.Clone(places), func(p follow.State) bool { return p.Path == "" })
		line, err := json.Marshal(head{stateVersion, now.UTC(), places})
		if err != nil {
			return err
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
		return r.Watch.Save(w)
	})
	if err == nil {
		r.Metrics.StateSaved.With().Set(now.Unix())
	}
	return err
}

// Restore reads the state at path into a Watch, and returns where logs were read to, by path. A file that is not there
// is an empty state.
func Restore(path string, w *watch.Watch) (map[string]follow.State, error) {
	f, err := userfile.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	in := bufio.NewReaderSize(f, mostHead)
	line, err := in.ReadSlice('\n')
	var h head
	if err == nil {
		err = json.Unmarshal(line, &h)
	}
	if err == nil && h.Version != stateVersion {
		err = fmt.Errorf("its version is %d, this degas reads %d", h.Version, stateVersion)
	}
	if err == nil {
		err = w.Restore(in)
	}
	if err != nil {
		return nil, fmt.Errorf("read the state in %s: %w. Try: remove the file, and begin anew", path, err)
	}
	places := map[string]follow.State{}
	for _, p := range h.Places {
		places[p.Path] = p
	}
	return places, nil
}
