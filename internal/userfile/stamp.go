package userfile

import (
	"io/fs"
	"os"
	"time"
)

// Stamp tells without reading a file whether it is still what it was. Every write changes it, even one after which
// somebody sets the size and the time of modification back, as "touch -r" does.
type Stamp struct {
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"`          // nanoseconds
	Changed  int64  `json:"changed,omitempty"` // nanoseconds; 0 where the system does not say
	File     uint64 `json:"file,omitempty"`    // the inode; 0 where the system does not say
}

// clockTick is longer than the time for which a system's clock for files stands still.
const clockTick = 20 * time.Millisecond

// StampOf is the stamp of the file at path, through links. If the file has changed just now, StampOf waits until the
// clock for files has moved on: another write would otherwise leave the same stamp.
func StampOf(path string) (Stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return Stamp{}, err
	}
	s := stampOf(info)
	if age := time.Since(time.Unix(0, max(s.Changed, s.Modified))); age >= 0 && age < clockTick {
		time.Sleep(clockTick - age)
		if info, err = os.Stat(path); err != nil {
			return Stamp{}, err
		}
		s = stampOf(info)
	}
	return s, nil
}

func stampOf(info fs.FileInfo) Stamp {
	s := Stamp{Size: info.Size(), Modified: info.ModTime().UnixNano()}
	s.Changed, s.File = changed(info)
	return s
}
