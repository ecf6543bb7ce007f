//go:build darwin || freebsd

package userfile

import (
	"io/fs"
	"syscall"
)

// changed gives the time of the last change and the inode.
func changed(info fs.FileInfo) (nanoseconds int64, inode uint64) {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return st.Ctimespec.Nano(), st.Ino
	}
	return 0, 0
}
