package detect

import (
	"unicode"
	"unicode/utf8"
)

// AppendAsked appends a name that was asked for, as events have it, as a Policy has to read it. A Policy reads names as
// people write them: it takes a '/' for the end of a URL's host, refuses a '!', and passes over white space at the
// ends. In a message all of these can stand in a label, and must not hide the domain behind it. So every byte of ASCII
// that no host's name has becomes a hyphen, and so does every other character that is white space.
func AppendAsked(dst, name []byte) []byte {
	for i := 0; i < len(name); i++ {
		c := name[i]
		switch {
		case c == '\\' && i+1 < len(name): // it stands before a dot or a backslash inside a label
			i++
			c = '-'
		case c >= utf8.RuneSelf:
			r, size := utf8.DecodeRune(name[i:])
			if unicode.IsSpace(r) {
				c = '-'
			} else {
				dst = append(dst, name[i:i+size-1]...)
				c = name[i+size-1]
			}
			i += size - 1
		case c != '.' && !hostByte(c):
			c = '-'
		}
		dst = append(dst, c)
	}
	return dst
}

// hostByte reports whether a byte of ASCII is one of labels that hosts, services or tunnels have.
func hostByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '+' ||
		c == '='
}
