package bucket

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"
)

// A server that becomes silent ends a request, one that is slow does not.
func TestSilentServer(t *testing.T) {
	const quiet = 200 * time.Millisecond
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for range 5 {
			if r.URL.Path == "/slow" {
				time.Sleep(quiet / 2)
			}
			if r.URL.Path != "/header" {
				w.Write([]byte("x"))
				w.(http.Flusher).Flush()
			}
		}
		if r.URL.Path != "/slow" {
			<-over
		}
	}))
	defer server.Close()
	defer close(over)
	transport := newTransport()
	impatient(transport, quiet)
	client := &http.Client{Transport: transport}
	for path, want := range map[string]string{"/slow": "xxxxx", "/body": "", "/header": ""} {
		resp, err := client.Get(server.URL + path)
		var got []byte
		if err == nil {
			got, err = io.ReadAll(resp.Body)
			resp.Body.Close()
		}
		if want != "" && (err != nil || string(got) != want) || want == "" && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %q, %v", path, got, err)
		}
		if want == "" && !strings.HasPrefix(unreachable(err).Error(), "no connection: ") {
			t.Errorf("%s: %v", path, unreachable(err))
		}
	}
}
