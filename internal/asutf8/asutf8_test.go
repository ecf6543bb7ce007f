package asutf8

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
	"unicode/utf16"
)

// encode is text in UTF-16 with a byte-order mark, the low byte first or the high one.
func encode(text string, low int) string {
	var b strings.Builder
	for _, u := range utf16.Encode([]rune(text)) {
		pair := [2]byte{}
		pair[low], pair[1-low] = byte(u), byte(u>>8)
		b.Write(pair[:])
	}
	return b.String()
}

func TestReader(t *testing.T) {
	const mark16 = "\ufeff"
	text := "google.com\r\nm\u00fcller.de\r\n" + strings.Repeat("wikipedia.org\r\n", 1000)
	for what, in := range map[string]string{
		"UTF-8":                    text,
		"UTF-8 with mark":          mark + text,
		"UTF-16LE":                 encode(text, 0),
		"UTF-16LE with mark":       encode(mark16+text, 0),
		"UTF-16BE":                 encode(text, 1),
		"UTF-16BE with mark":       encode(mark16+text, 1),
		"UTF-16LE, one name":       encode("a.b", 0) + "|a.b",
		"empty":                    "|",
		"one byte":                 "a|a",
		"only a mark":              mark + "|",
		"half a mark":              mark[:2] + "|" + mark[:2],
		"only UTF-16's mark":       encode(mark16, 0) + "|",
		"Cyrillic with mark":       encode(mark16+"\u043a.\u0440\u0444", 1) + "|\u043a.\u0440\u0444",
		"bytes that are no text":   "0\xbc\xfd.t.example.com\n|0\xbc\xfd.t.example.com\n",
		"marked bytes, no text":    mark + "0\xbc\xfd.t|0\xbc\xfd.t",
		"Parquet":                  "PAR1\x15\x00\x15\x00\x15|PAR1\x15\x00\x15\x00\x15",
		"zeros":                    "\x00\x00\x00\x00|\x00\x00\x00\x00",
		"one zero is no UTF-16":    "a\x00bc|a\x00bc",
		"an odd byte at the end":   encode(mark16+"a.b", 0) + "c|a.b\ufffd",
		"cut inside a byte's pair": encode("a.bc", 1)[:7] + "|a.b\ufffd",
	} {
		in, want, ok := strings.Cut(in, "|")
		if !ok {
			want = text
		}
		if got := string(Bytes([]byte(in))); got != want {
			t.Errorf("%s: Bytes gives %.40q, want %.40q", what, got, want)
		}
		for how, r := range map[string]io.Reader{"whole": strings.NewReader(in),
			"byte by byte": iotest.OneByteReader(strings.NewReader(in))} {
			r, err := Reader(r)
			if err != nil {
				t.Fatalf("%s, %s: %v", what, how, err)
			}
			if got, err := io.ReadAll(r); string(got) != want || err != nil {
				t.Errorf("%s, %s: %.40q, %v, want %.40q", what, how, got, err, want)
			}
		}
	}
}

func TestReaderGivesErrors(t *testing.T) {
	broken := errors.New("broken")
	if _, err := Reader(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("at once: %v", err)
	}
	r, err := Reader(io.MultiReader(strings.NewReader(encode("\ufeffa", 0)), iotest.ErrReader(broken)))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(r); string(got) != "a" || !errors.Is(err, broken) {
		t.Errorf("later: %q, %v", got, err)
	}
}

// Whoever types names gets each one scored, not the first 4,096 bytes of them.
func TestReaderDoesNotWait(t *testing.T) {
	in, out := io.Pipe()
	defer out.Close()
	go out.Write([]byte("a\n"))
	done := make(chan string)
	go func() {
		r, err := Reader(in)
		line := make([]byte, 2)
		if err == nil {
			io.ReadFull(r, line) //nolint:errcheck // the line says it
		}
		done <- string(line)
	}()
	select {
	case line := <-done:
		if line != "a\n" {
			t.Errorf("%q", line)
		}
	case <-time.After(10 * time.Second):
		t.Error("no line: it waits for more")
	}
}
