package lines

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReader(t *testing.T) {
	long := strings.Repeat("x", 2*MaxLine)
	r := NewReader(strings.NewReader("a.com\r\n\n" + long + "\nb.com\r"))
	for i, want := range []struct {
		text string
		long bool
	}{{"a.com", false}, {"", false}, {"", true}, {"b.com", false}} {
		text, long, err := r.Next()
		if string(text) != want.text || long != want.long || err != nil || r.Line() != int64(i+1) {
			t.Errorf("line %d: %q, %v, %v, number %d", i+1, text, long, err, r.Line())
		}
	}
	if _, _, err := r.Next(); err != io.EOF {
		t.Errorf("at the end: %v", err)
	}
}

func TestPeekAndHead(t *testing.T) {
	text := "# comment\na.com\r\n\nb.com\n" + strings.Repeat("c", HeadSize)
	head, again, err := Peek(strings.NewReader(text))
	if err != nil || len(head) != HeadSize {
		t.Fatalf("%d bytes, %v", len(head), err)
	}
	if all, err := io.ReadAll(again); string(all) != text || err != nil {
		t.Errorf("%d of %d bytes again, %v", len(all), len(text), err)
	}
	if got := string(bytes.Join(Head(head, 50), []byte("|"))); got != "a.com|b.com" { // the last line is cut
		t.Errorf("head %q", got)
	}
	if got := Head([]byte("a\nb\nc"), 2); len(got) != 2 {
		t.Errorf("%d lines of 2", len(got))
	}
}

// A stream that was cut off must not look like one that ends.
func TestPeekKeepsErrors(t *testing.T) {
	for _, text := range []string{"", "a.com\n"} {
		in := io.MultiReader(strings.NewReader(text), iotest.ErrReader(io.ErrUnexpectedEOF))
		if head, _, err := Peek(in); string(head) != text || err != io.ErrUnexpectedEOF {
			t.Errorf("%q: %q, %v", text, head, err)
		}
	}
}

func TestSplitRow(t *testing.T) {
	for line, want := range map[string]string{
		`a,b,c`: "a|b|c", `"a,""b",c`: `a,"b|c`, `,`: "|", `a,"b"x`: "-", `"a`: "-", ``: "",
	} {
		fields, ok := SplitRow(nil, []byte(line), ',')
		got := string(bytes.Join(fields, []byte("|")))
		if !ok {
			got = "-"
		}
		if got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}

func FuzzSplitRow(f *testing.F) {
	f.Add(`"a,""b",c`)
	f.Fuzz(func(t *testing.T, line string) {
		fields, ok := SplitRow(nil, []byte(line), ',')
		size := 0
		for _, field := range fields {
			size += len(field)
		}
		if size > len(line) || ok && len(fields) == 0 {
			t.Errorf("%q: %d fields of %d bytes", line, len(fields), size)
		}
	})
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A hole is a line that does not end.
func TestEndlessLine(t *testing.T) {
	r := NewReader(io.MultiReader(strings.NewReader("a.com\n"), zeros{}))
	if line, _, err := r.Next(); string(line) != "a.com" || err != nil {
		t.Fatalf("%q, %v", line, err)
	}
	if _, _, err := r.Next(); err == nil || !strings.Contains(err.Error(), "line 2 has more than 67108864 bytes") {
		t.Errorf("error %v", err)
	}
}
