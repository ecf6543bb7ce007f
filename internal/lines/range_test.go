package lines

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// linesOf are a text's lines with the length of long ones in their place.
func linesOf(in io.Reader, mine func(int64) bool) (out []string, err error) {
	for r := NewReader(in); ; {
		line, long, err := r.Next()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		if !mine(r.Line()) {
			continue
		}
		if long {
			line = []byte("long")
		}
		out = append(out, string(line))
	}
}

// inRanges are the lines of all ranges of a text, each of size bytes.
func inRanges(t *testing.T, text []byte, size, margin int64, slow bool) (out []string) {
	for from := int64(0); from < int64(len(text)); from += size {
		r := Range{from, min(from+size, int64(len(text)))}
		offset, length := r.Around(margin)
		in := io.NewSectionReader(bytes.NewReader(text), offset, length)
		reader := r.Reader(in, margin)
		if slow {
			reader = r.Reader(iotest.OneByteReader(in), margin)
		}
		part, err := linesOf(reader, reader.Mine)
		if err != nil {
			t.Fatalf("range %v of %q: %v", r, text, err)
		}
		out = append(out, part...)
	}
	return out
}

func TestRanges(t *testing.T) {
	long := strings.Repeat("x", 3*MaxLine)
	for name, text := range map[string]string{
		"empty": "", "one": "a.com", "ended": "a.com\n", "crlf": "a.com\r\nb.com\r\n\r\n", "blank": "\n\n\na\n\n",
		"long": "a\n" + long + "\nb\n" + long, "rubbish": "\x00\xff\n\r\r\n\x1f\x8b\n\n\r", "no end": "a\nb\nc",
	} {
		t.Run(name, func(t *testing.T) {
			want, err := linesOf(strings.NewReader(text), func(int64) bool { return true })
			if err != nil {
				t.Fatal(err)
			}
			for _, size := range []int64{1, 2, 3, 5, 7, MaxLine, MaxLine + 1, 4 * MaxLine} {
				if int64(len(text))/size > 1000 {
					continue
				}
				for _, margin := range []int64{0, 1, 6, 2 * MaxLine} {
					if got := inRanges(t, []byte(text), size, margin, false); !slices.Equal(got, want) {
						t.Errorf("ranges of %d, margin %d: %.80q, want %.80q", size, margin, got, want)
					}
				}
			}
		})
	}
}

// A range gives no part of a line that begins behind its margin.
func TestRangeEndsWithALine(t *testing.T) {
	const text = "one\ntwo\nthree\nfour\n"
	r := Range{4, 8}
	for margin, want := range map[int64]string{
		0: "two\n", 1: "two\nthree\n", 4: "one\ntwo\nthree\n", 7: "one\ntwo\nthree\nfour\n",
	} {
		offset, length := r.Around(margin)
		got, err := io.ReadAll(r.Reader(io.NewSectionReader(strings.NewReader(text), offset, length), margin))
		if string(got) != want || err != nil {
			t.Errorf("margin %d: %q, %v, want %q", margin, got, err, want)
		}
	}
}

// An error of the source is one of the range.
func TestRangeKeepsErrors(t *testing.T) {
	broken := errors.New("broken")
	for _, text := range []string{"", "a", "a\nb\nc"} {
		r := Range{1, 100}
		in := io.MultiReader(strings.NewReader(text), iotest.ErrReader(broken))
		if _, err := io.ReadAll(r.Reader(in, 0)); !errors.Is(err, broken) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzRanges(f *testing.F) {
	f.Add([]byte("a.com\r\n\nb.com"), uint16(3), uint16(0), false)
	f.Add([]byte("\n\n"), uint16(1), uint16(2), true)
	f.Fuzz(func(t *testing.T, text []byte, size, margin uint16, slow bool) {
		want, err := linesOf(bytes.NewReader(text), func(int64) bool { return true })
		if err != nil || len(text) > 100*(int(size)+1) {
			t.Skip()
		}
		if got := inRanges(t, text, int64(size)+1, int64(margin), slow); !slices.Equal(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	})
}
