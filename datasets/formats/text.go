package formats

import (
	"bytes"
	"io"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/transform"

	"github.com/degas-dns/degas/internal/lines"
)

// Reasons that readers give for rows they refuse; those of package dnsname come on top.
const (
	reasonLongLine   = "line longer than 64 KiB"
	reasonColumns    = "too few columns"
	reasonQuote      = "unbalanced quotes"
	reasonClass      = "unknown class"
	reasonEmptyValue = "empty value"
	reasonUnranked   = "no rank, which would make it benign"
	reasonUndotted   = "no dot, unlike the other names"
	reasonBroken     = "a line break in the name"
	reasonRule       = "a line of another format"
)

// What readers miss in a file that is not theirs.
const (
	missesNames = "its lines do not begin with names"
	missesLines = "there are no lines but comments"
)

// eachLine calls f for every line that is neither empty nor a '#' comment. It refuses what is too long.
func eachLine(in io.Reader, sink Sink, f func(line int64, text []byte) error) error {
	return eachLineBut("#", in, sink, f)
}

// eachLineBut is eachLine for other comments.
func eachLineBut(comment string, in io.Reader, sink Sink, f func(line int64, text []byte) error) error {
	l := lines.NewReader(in)
	for {
		text, long, err := l.Next()
		if err == io.EOF {
			return nil
		}
		if err == nil && long {
			err = sink.Refuse(l.Line(), reasonLongLine)
		} else if err == nil && len(text) > 0 && !bytes.HasPrefix(text, []byte(comment)) {
			err = f(l.Line(), text)
		}
		if err != nil {
			return err
		}
	}
}

// looksLikeName is a coarse test for recognising formats; dnsname decides later.
func looksLikeName(b []byte) bool {
	b = bytes.Trim(b, "\" \t")
	return len(b) <= 260 && !bytes.ContainsAny(b, notInNames) && bytes.IndexByte(b, '.') > 0
}

// notInNames are characters that names have in no file.
const notInNames = " \t,;|<>{}()\x00"

// asText is r with bytes that are no UTF-8 read as Windows-1252. JSON has no other bytes, and its decoder would make
// one character of them all: words in a class column would be lost.
func asText(r io.Reader) io.Reader { return transform.NewReader(r, windows1252{}) }

type windows1252 struct{ transform.NopResetter }

// Transform implements transform.Transformer.
func (windows1252) Transform(dst, src []byte, atEOF bool) (nDst, nSrc int, err error) {
	for nSrc < len(src) {
		r, n := utf8.DecodeRune(src[nSrc:])
		switch {
		case nDst+utf8.UTFMax > len(dst):
			return nDst, nSrc, transform.ErrShortDst
		case r == utf8.RuneError && n == 1 && !atEOF && !utf8.FullRune(src[nSrc:]):
			return nDst, nSrc, transform.ErrShortSrc
		case r == utf8.RuneError && n == 1:
			r = charmap.Windows1252.DecodeByte(src[nSrc])
		}
		nDst += utf8.EncodeRune(dst[nDst:], r)
		nSrc += n
	}
	return nDst, nSrc, nil
}
