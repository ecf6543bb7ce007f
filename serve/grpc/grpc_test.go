package grpc_test

import (
	"bytes"
	"context"
	"errors"
	"net/http/httptest"
	"testing"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/serve/grpc"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
)

// What package tensorflow's tests do not ask over a network.
func TestHandler(t *testing.T) {
	set, err := models.Open(nil, models.Source{Dir: model.BuiltinName})
	if err != nil {
		t.Fatal(err)
	}
	h := &grpc.Handler{Models: set, Methods: map[string]grpc.Method{
		"/s/echo": func(_ context.Context, message []byte, _ *models.Lease) ([]byte, error) { return message, nil },
		"/s/fail": func(context.Context, []byte, *models.Lease) ([]byte, error) { return nil, errors.New("secret") },
		"/s/busy": func(context.Context, []byte, *models.Lease) ([]byte, error) { return nil, reply.Busy("a\n%") },
	}}
	for _, tc := range []struct {
		path, body         string
		major              int
		kind, encoding     string
		status             int
		code, text, answer string
	}{
		{"/s/echo", "\x00\x00\x00\x00\x02ab", 2, "application/grpc", "", 200, "0", "", "\x00\x00\x00\x00\x02ab"},
		{"/s/echo", "\x00\x00\x00\x00\x00", 2, "application/grpc", "", 200, "0", "", "\x00\x00\x00\x00\x00"},
		{"/s/echo", "\x00\x00\x00\x00\x03ab", 2, "application/grpc", "", 200, "3",
			"The message has 2 bytes, its header says 3", ""},
		{"/s/echo", "\x00\x00", 2, "application/grpc", "", 200, "3", "The message is cut off", ""},
		{"/s/echo", "\x01\x00\x00\x00\x02ab", 2, "application/grpc", "snappy", 200, "12",
			"Messages may be packed with gzip, or not at all", ""},
		{"/s/echo", "\x01\x00\x00\x00\x02ab", 2, "application/grpc", "gzip", 200, "3", "The message is not good gzip", ""},
		{"/s/fail", "\x00\x00\x00\x00\x00", 2, "application/grpc", "", 200, "13", "internal error", ""},
		{"/s/busy", "\x00\x00\x00\x00\x00", 2, "application/grpc", "", 200, "8", "a%0A%25", ""},
		{"/s/none", "", 2, "application/grpc", "", 200, "12", "There is no method /s/none", ""},
		{"/s/echo", "", 1, "application/grpc", "", 415, "", "", "This path answers gRPC alone\n"},
		{"/s/echo", "", 2, "application/json", "", 415, "", "", "This path answers gRPC alone\n"},
	} {
		r := httptest.NewRequest("POST", tc.path, bytes.NewReader([]byte(tc.body)))
		r.ProtoMajor = tc.major
		r.Header.Set("Content-Type", tc.kind)
		r.Header.Set("Grpc-Encoding", tc.encoding)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		code := w.Result().Trailer.Get("Grpc-Status") + w.Header().Get("Grpc-Status")
		if text := w.Header().Get("Grpc-Message"); w.Code != tc.status || code != tc.code || text != tc.text ||
			w.Body.String() != tc.answer {
			t.Errorf("%s %q: %d %q %q %q", tc.path, tc.body, w.Code, code, text, w.Body)
		}
	}
}
