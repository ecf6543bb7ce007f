package retryafter

import (
	"net/http"
	"testing"
	"time"
)

func TestWait(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for in, want := range map[string]time.Duration{
		"":                              0,
		"-1":                            0,
		"7":                             7 * time.Second,
		"99999999999":                   1 << 30 * time.Second,
		"junk":                          0,
		"Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second,
		"Fri, 02 Jan 2026 03:04:00 GMT": 0,
	} {
		if got := Wait(http.Header{"Retry-After": {in}}, now); got != want {
			t.Errorf("Wait(%q) = %s, want %s", in, got, want)
		}
	}
}
