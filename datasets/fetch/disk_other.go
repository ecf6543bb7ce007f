//go:build !windows

package fetch

import (
	"errors"
	"syscall"
)

// diskFull tells whether err says that no space (or quota) is left.
func diskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
