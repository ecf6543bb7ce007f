// Package retryafter reads the HTTP header Retry-After.
package retryafter

import (
	"net/http"
	"strconv"
	"time"
)

// Wait returns how long the server asks to wait, counted from now; 0 if it does not say. Both forms of the header are
// read: seconds and a date.
func Wait(h http.Header, now time.Time) time.Duration {
	v := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(v); err == nil && seconds >= 0 {
		return time.Duration(min(seconds, 1<<30)) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(t.Sub(now), 0)
	}
	return 0
}
