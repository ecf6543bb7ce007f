package classify

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/degas-dns/degas/detect/lists"
)

// What classify writes as a list is a block list of the same names.
func TestListsAreReadBack(t *testing.T) {
	names := []string{"a.evil.com", "evil.com", "xn--bcher-kva.evil.com", "_srv.evil.com", "0.0.0.127.evil.com",
		"x--y.evil.com", "1.evil.com", "rpz-x.evil.com"}
	in := strings.Join(append(names, "B\\.x.evil.com", "bücher.evil.com", "good.evil.com", "b.com"), "\n") + "\n"
	for _, format := range []string{"domains", "hosts", "adblock", "rpz"} {
		var out bytes.Buffer
		c := job(t, Options{Format: format})
		if err := c.Run(context.Background(), strings.NewReader(in), "in", &out); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "list")
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := lists.Open(t.Context(), lists.Options{Block: []string{path}})
		if err != nil {
			t.Errorf("%s: %v\n%s", format, err, out.String())
			continue
		}
		_, block, _ := s.Lists()
		for _, name := range names {
			if _, ok := block.Find(name); !ok {
				t.Errorf("%s: %s is not found", format, name)
			}
		}
		if _, ok := block.Find("good.evil.com"); ok != (format == "adblock") || // of whose rules each is of all names below
			block.Len() != len(names) || s.Stats()[0].Format != format ||
			len(s.Stats()[0].Skipped) > 0 {
			t.Errorf("%s: %d names, %+v\n%s", format, block.Len(), s.Stats()[0], out.String())
		}
	}
}
