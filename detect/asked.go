package detect

// AppendAsked appends a name that was asked for, as events have it, as a Policy has to read it. A Policy reads names as
// people write them: it takes a '/' for the end of a URL's host, and refuses a '!'. In a message either can stand in a
// label, and must not hide the domain behind it. So every byte that no host's name has becomes a hyphen.
func AppendAsked(dst, name []byte) []byte {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if c == '\\' && i+1 < len(name) { // it stands before a dot or a backslash inside a label
			i++
			c = '-'
		}
		if c != '.' {
			c = AskedByte(c)
		}
		dst = append(dst, c)
	}
	return dst
}

// AskedByte is AppendAsked for one byte of a label.
func AskedByte(c byte) byte {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '+', c == '=',
		c >= 0x80:
		return c
	}
	return '-'
}
