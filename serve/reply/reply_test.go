package reply_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/degas-dns/degas/serve/reply"
)

func TestFailed(t *testing.T) {
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	late, cancel := context.WithTimeout(context.Background(), 0)
	defer cancel()
	for _, tc := range []struct {
		name   string
		ctx    context.Context
		err    error
		indent string
		status int
		body   string
	}{
		{"told", context.Background(), reply.BadRequest("no %q", "x<"), "", 400, `{"error":"no \"x\u003c\""}` + "\n"},
		{"indented", context.Background(), reply.BadRequest("no"), "    ", 400, "{\n    \"error\": \"no\"\n}\n"},
		{"wrapped", context.Background(), fmt.Errorf("row 1: %w", reply.BadRequest("no")), "", 400, `{"error":"no"}` + "\n"},
		{"internal", context.Background(), errors.New("secret"), "", 500, `{"error":"internal error"}` + "\n"},
		{"gone", cancelled, cancelled.Err(), "", 499, ""},
		{"late", late, late.Err(), "", 504, `{"error":"The request took too long"}` + "\n"},
	} {
		w := httptest.NewRecorder()
		o := reply.Writer{Indent: tc.indent}
		status := o.Failed(w, httptest.NewRequest("GET", "/", nil).WithContext(tc.ctx), tc.err)
		if status != tc.status || w.Body.String() != tc.body || tc.body != "" && w.Code != status {
			t.Errorf("%s: %d %q, want %d %q", tc.name, status, w.Body, tc.status, tc.body)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	w := httptest.NewRecorder()
	var o reply.Writer
	failure := &reply.Failure{Status: http.StatusServiceUnavailable, Text: "busy", Retry: 1500 * time.Millisecond}
	o.Failed(w, httptest.NewRequest("GET", "/", nil), failure)
	if w.Code != 503 || w.Header().Get("Retry-After") != "2" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
}

func TestJSON(t *testing.T) {
	w := httptest.NewRecorder()
	var o reply.Writer
	r := httptest.NewRequest("GET", "/", nil)
	if status := o.JSON(w, r, []string{"a\u202e"}); status != 200 || w.Body.String() != `["a\u202e"]`+"\n" {
		t.Errorf("%d %s", status, w.Body)
	}
	if status := o.JSON(httptest.NewRecorder(), r, math.NaN()); status != 500 {
		t.Errorf("a value that JSON cannot hold: %d", status)
	}
}
