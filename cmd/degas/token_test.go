package main

import (
	"bytes"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/serve/token"
)

// What degas token prints is a line of a file of tokens, and the token of that line.
func TestToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens")
	var lines, secret bytes.Buffer
	for _, args := range [][]string{{"ann"}, {"resolver", "--scope", "lists,events", "--for", "1h"}} {
		secret.Reset()
		args = append([]string{"degas", "token"}, args...)
		if code := run(t.Context(), args, strings.NewReader(""), &lines, &secret); code != 0 {
			t.Fatal(code, secret.String())
		}
	}
	if err := os.WriteFile(path, lines.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	set, err := token.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	who, err := set.Check("Bearer "+strings.TrimSpace(secret.String()), netip.IPv4Unspecified())
	if err != nil || who.Name != "resolver" || !who.Has(token.Lists) || who.Has(token.Score) || who.Expires.IsZero() {
		t.Errorf("%+v, %v", who, err)
	}
	var out, log bytes.Buffer
	code := run(t.Context(), []string{"degas", "token", "x", "--scope", "all"}, strings.NewReader(""), &out, &log)
	if code == 0 || !strings.Contains(log.String(), "none of score") {
		t.Errorf("an unknown scope: %d %s", code, log.String())
	}
}
