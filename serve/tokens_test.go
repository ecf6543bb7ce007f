package serve_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/degas-dns/degas/serve"
	"github.com/degas-dns/degas/serve/token"
)

// A token opens what its scope is for. Whoever guesses is told to wait, and a right token passes all the same.
func TestTokens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	secrets, lines := map[token.Scope]string{}, ""
	for _, scope := range []token.Scope{token.Score, token.Metrics, token.Admin} {
		secret, line, err := token.New(string(scope), []token.Scope{scope}, time.Time{})
		if err != nil {
			t.Fatal(err)
		}
		secrets[scope], lines = secret, lines+line
	}
	if err := os.WriteFile(path, []byte(lines), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := token.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	s := builtin(t, func(o *serve.Options) {
		o.Tokens, o.Intake = set, serve.NewIntake()
		o.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	const names, event = "/v1/names?name=a.example", `{"name":"a.example","kind":"query"}`
	for _, tc := range []struct {
		method, target, body, header string
		status                       int
	}{
		{"GET", "/livez", "", "", 200},
		{"GET", "/openapi.yaml", "", "", 200},
		{"GET", names, "", "", 401},
		{"GET", names, "", "Bearer " + secrets[token.Score], 200},
		{"GET", names, "", "bearer " + secrets[token.Admin], 200},
		{"GET", names, "", "Basic " + base64.StdEncoding.EncodeToString([]byte("x:"+secrets[token.Score])), 200},
		{"GET", names, "", "Bearer " + secrets[token.Metrics], 403},
		{"GET", "/metrics", "", "Bearer " + secrets[token.Metrics], 200},
		{"GET", "/metrics", "", "Bearer " + secrets[token.Score], 403},
		{"GET", "/v1/models/degas", "", "", 401},
		{"GET", "/v2/models/degas", "", "", 401},
		{"GET", "/V1/Models/degas", "", "", 401},
		{"POST", "/v1/events", event, "Bearer " + secrets[token.Score], 403},
		{"PUT", "/v1/events", event, "", 401},
		{"GET", "/nothing", "", "", 401},
	} {
		w := ask(t, s, tc.method, tc.target, tc.body, "Authorization", tc.header)
		if w.Code != tc.status || (tc.status == 401) != (w.Header().Get("WWW-Authenticate") != "") {
			t.Errorf("%s %s with %.10q: %d %s, want %d", tc.method, tc.target, tc.header, w.Code, w.Body, tc.status)
		}
	}
	last := 0
	for i := range 50 {
		last = ask(t, s, "GET", names, "", "Authorization", fmt.Sprint("Bearer guess", i)).Code
	}
	if last != 429 {
		t.Errorf("after 50 guesses: %d", last)
	}
	if w := ask(t, s, "GET", names, "", "Authorization", "Bearer "+secrets[token.Score]); w.Code != 200 {
		t.Errorf("a right token from the address of guesses: %d", w.Code)
	}
	for _, secret := range secrets {
		if strings.Contains(log.String(), secret) {
			t.Error("a token is in the log")
		}
	}
	lines0 := strings.Count(log.String(), "\n")
	ask(t, s, "GET", "/v1/models/x%0atime=now%20level=ERROR%20msg=forged", "",
		"Authorization", "Bearer "+secrets[token.Score])
	if n := strings.Count(log.String(), "\n") - lines0; n != 1 {
		t.Errorf("a path with a line's end makes %d lines of the log", n)
	}
}
