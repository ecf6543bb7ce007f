package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/coredns/caddy"
	"github.com/coredns/coredns/core/dnsserver"
)

// TestReadme holds the manual page to CoreDNS' form, and starts each of its Corefiles.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var sections, corefiles []string
	fence := ""
	for line := range strings.Lines(string(text)) {
		switch {
		case fence != "" && strings.HasPrefix(line, "~~~"):
			fence = ""
		case strings.HasPrefix(line, "~~~"):
			if fence = strings.TrimSpace(strings.TrimPrefix(line, "~~~")); fence == "corefile" {
				corefiles = append(corefiles, "")
			} else {
				fence = "text"
			}
		case fence == "corefile":
			corefiles[len(corefiles)-1] += line
		case strings.HasPrefix(line, "## "):
			sections = append(sections, strings.TrimSpace(line[3:]))
		}
	}
	if want := []string{"Name", "Description", "Syntax", "Metadata", "Metrics", "Ready", "Examples", "See Also",
		"Bugs"}; !slices.Equal(sections, want) {
		t.Errorf("sections %q, want %q", sections, want)
	}
	if len(corefiles) < 6 {
		t.Errorf("%d Corefiles", len(corefiles))
	}
	t.Chdir(t.TempDir())
	for _, list := range []string{"allow.txt", "block.txt"} {
		if err := os.WriteFile(filepath.Join(".", list), []byte("example.org\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	usual := dnsserver.Port
	defer func() { dnsserver.Port = usual }()
	for _, c := range corefiles {
		_, dnsserver.Port, _ = net.SplitHostPort(freePort(t))
		i, err := caddy.Start(testInput(c))
		if err != nil {
			t.Errorf("%v in\n%s", err, c)
			continue
		}
		stop(t, i)
	}
}
