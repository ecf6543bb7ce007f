package datasets

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestSmoke(t *testing.T) {
	in, out := t.TempDir(), t.TempDir()
	os.MkdirAll(filepath.Join(in, "sample/dga"), 0o755)
	var b, d []byte
	for i := range 5000 {
		b = fmt.Appendf(b, "%d,www.site%d.com\n", i+1, i)
		d = fmt.Appendf(d, "x%xq.net\n", i*7919)
	}
	os.WriteFile(filepath.Join(in, "sample/benign.csv"), b, 0o644)
	os.WriteFile(filepath.Join(in, "sample/dga/tinba.txt"), d, 0o644)
	m, err := Process(t.Context(), in, out, ProcessOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	data, _ := m.encode()
	t.Logf("%s", data)
	s, err := Open(out, "train")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n := 0
	for b, err := range s.Batches(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n += len(b.Names)
		t.Log(b.Names[:5], b.Class[:5], s.Families(), b.Family[:5], s.Sources(), b.Source[:5])
	}
	if int64(n) != s.Rows() {
		t.Fatal(n)
	}
}
