package capture

// Ports of UDP that carry other packets.
const (
	portGTP    = 2152
	portTeredo = 3544
	portVXLAN  = 4789
	portGeneve = 6081
)

// udpTunnel goes on inside a UDP datagram that is not of a DNS port.
func (w *walk) udpTunnel(from, to uint16, b []byte) error {
	if w.headers++; w.headers > maxHeaders {
		return manyHeaders
	}
	switch {
	case to == portVXLAN:
		if len(b) < 8 || b[0]&0x08 == 0 {
			return noDNS
		}
		return w.ethernet(b[8:])
	case to == portGeneve:
		if len(b) < 8 || b[0]>>6 != 0 {
			return noDNS
		}
		return w.typed(b, 2, 8+int(b[0]&0x3f)*4)
	case from == portTeredo || to == portTeredo:
		return w.teredo(b)
	case to == portGTP:
		return w.gtp(b)
	}
	return noDNS
}

// teredo reads RFC 4380: an authentication and an origin indication may stand before IPv6.
func (w *walk) teredo(b []byte) error {
	if len(b) >= 4 && b[0] == 0 && b[1] == 1 {
		b = b[min(13+int(b[2])+int(b[3]), len(b)):]
	}
	if len(b) >= 8 && b[0] == 0 && b[1] == 0 {
		b = b[8:]
	}
	if len(b) == 0 || b[0]>>4 != 6 {
		return noDNS
	}
	return w.ip6(b)
}

// gtp reads GTP-U (3GPP TS 29.281): IP packets of phones.
func (w *walk) gtp(b []byte) error {
	if len(b) < 8 || b[0]>>4 != 3 || b[1] != 0xff {
		return noDNS
	}
	flags, b := b[0], b[8:]
	if flags&7 == 0 {
		return w.ip(b)
	}
	if len(b) < 4 {
		return w.short()
	}
	next, b := b[3], b[4:]
	for next != 0 { // extension headers: their length in words, and the next one's type at the end
		if len(b) == 0 || b[0] == 0 || len(b) < int(b[0])*4 {
			return w.short()
		}
		n := int(b[0]) * 4
		next, b = b[n-1], b[n:]
	}
	return w.ip(b)
}

// gre reads RFC 2784 and 2890, and PPTP's version 1 of RFC 2637.
func (w *walk) gre(b []byte) error {
	if len(b) < 4 {
		return w.short()
	}
	flags, t, n := b[0], big.Uint16(b[2:]), 4
	version := b[1] & 7
	if version > 1 || flags&0x40 != 0 { // source routes are gone since RFC 2784
		return noDNS
	}
	for _, bit := range []byte{0x80, 0x20, 0x10} { // checksum, key, sequence number
		if flags&bit != 0 {
			n += 4
		}
	}
	if version == 1 && b[1]&0x80 != 0 { // acknowledgment number
		n += 4
	}
	if len(b) < n {
		return w.short()
	}
	if t == 0x88be && flags&0x10 == 0 { // ERSPAN I has no header
		return w.ethernet(b[n:])
	}
	return w.etherType(t, b[n:])
}

// erspan reads a mirrored frame of ERSPAN II.
func (w *walk) erspan(b []byte) error { return w.after(b, 8, w.ethernet) }

// mpls reads labels up to the last one. What follows has no type: IP says its version, and Ethernet comes after a
// control word of zeros.
func (w *walk) mpls(b []byte) error {
	for {
		if len(b) < 4 {
			return w.short()
		}
		last := b[2]&1 != 0
		if b = b[4:]; last {
			break
		}
	}
	if len(b) >= 4 && b[0] == 0 {
		if w.headers++; w.headers > maxHeaders {
			return manyHeaders
		}
		return w.ethernet(b[4:])
	}
	return w.ip(b)
}

// pppoe reads a session's header of RFC 2516.
func (w *walk) pppoe(b []byte) error {
	if len(b) < 6 {
		return w.short()
	}
	if b[0] != 0x11 || b[1] != 0 {
		return noDNS
	}
	return w.ppp(b[6:])
}

// ppp reads the protocol of RFC 1661, with HDLC's address before it or not, in one byte or two.
func (w *walk) ppp(b []byte) error {
	if len(b) >= 2 && b[0] == 0xff && b[1] == 0x03 {
		b = b[2:]
	}
	if len(b) < 2 {
		return w.short()
	}
	protocol, n := uint16(b[0]), 1
	if b[0]&1 == 0 {
		protocol, n = big.Uint16(b), 2
	}
	switch protocol {
	case 0x21:
		return w.ip4(b[n:])
	case 0x57:
		return w.ip6(b[n:])
	case 0x281, 0x283:
		return w.mpls(b[n:])
	}
	return noDNS
}
