package fetch

import (
	"errors"
	"syscall"
)

// diskFull tells whether err says that no space is left: ERROR_DISK_FULL and ERROR_HANDLE_DISK_FULL.
func diskFull(err error) bool {
	return errors.Is(err, syscall.Errno(0x70)) || errors.Is(err, syscall.Errno(0x27))
}
