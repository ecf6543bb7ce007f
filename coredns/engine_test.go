package degas

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReloadKeepsListsThatAreEmpty begins again while a list is written, as a reload of the Corefile may.
func TestReloadKeepsListsThatAreEmpty(t *testing.T) {
	path := filepath.Join(folder(t, map[string]string{"block": ""}), "block")
	s := usual()
	s.lists.Block = []string{path}
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	quiet(t, s).countLists() // a list may be empty at first
	write("a.example\nb.example\n")
	quiet(t, s).countLists()
	write("")
	if _, err := newEngine(t.Context(), s); err == nil || !strings.Contains(err.Error(), "had 2 entries") {
		t.Errorf("error %v", err)
	}
	write("c.example\n")
	quiet(t, s).countLists()
}
