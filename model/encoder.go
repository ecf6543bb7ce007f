package model

import (
	"errors"
	"fmt"
	"slices"

	"github.com/degas-dns/degas/internal/registry"
)

// Sides of a window.
const (
	Left  = "left"
	Right = "right"
	First = "first"
	Last  = "last"
)

// Encoder turns a name into a fixed window of codes. It works on bytes, so that the same mapping can be written with a
// serving runtime's string operations; names reach it normalised (see package dnsname).
type Encoder struct {
	// Alphabet lists the known characters, ASCII only; character i has the code base+i.
	Alphabet string `json:"alphabet"`
	// Base is the code of the first of them.
	Base int `json:"base"`
	// Pad is the code that fills the window beside a short name. It may equal a character's code, as in the original
	// degas, where padding and '0' share 0.
	Pad int `json:"pad"`
	// Unknown is the code of any byte outside the alphabet. It may equal a character's code.
	Unknown int `json:"unknown"`
	// Window is the number of codes.
	Window int `json:"window"`
	// PadSide is where padding goes: left or right.
	PadSide string `json:"pad_side"`
	// Keep is which end of a long name stays: first or last.
	Keep string `json:"keep"`
	// Reverse writes the characters that are kept last to first. Padding stays on PadSide.
	Reverse bool `json:"reverse,omitempty"`
	// Lower folds A-Z before look-up.
	Lower bool `json:"lower"`
}

// NameAlphabet is the alphabet of degas' own presets: the bytes of a normalised host name.
const NameAlphabet = "abcdefghijklmnopqrstuvwxyz0123456789-._"

// Validate reports what makes e unusable.
func (e *Encoder) Validate() error {
	switch {
	case e.Window < 1 || e.Window > 1024:
		return fmt.Errorf("encoder: window %d is not in 1..1024", e.Window)
	case e.PadSide != Left && e.PadSide != Right:
		return fmt.Errorf("encoder: pad_side %q is neither left nor right", e.PadSide)
	case e.Keep != First && e.Keep != Last:
		return fmt.Errorf("encoder: keep %q is neither first nor last", e.Keep)
	case e.Alphabet == "":
		return errors.New("encoder: the alphabet is empty")
	case e.Base < 0 || e.Pad < 0 || e.Unknown < 0 || e.Codes() > 1<<15:
		return fmt.Errorf("encoder: codes outside 0..%d (base %d, pad %d, unknown %d)", 1<<15-1, e.Base, e.Pad, e.Unknown)
	}
	for i := range len(e.Alphabet) {
		if e.Alphabet[i] >= 0x80 || e.Alphabet[i] == 0 {
			return fmt.Errorf("encoder: alphabet byte %d (%#x) is not a printable ASCII character", i, e.Alphabet[i])
		}
	}
	return nil
}

// Codes is one more than the highest code: the rows an embedding needs.
func (e *Encoder) Codes() int {
	return max(e.Base+len(e.Alphabet), e.Pad+1, e.Unknown+1)
}

// Table maps every byte to its code. Byte 0 is Pad, so that a NUL-padded string encodes like a padded window.
func (e *Encoder) Table() [256]uint16 {
	var t [256]uint16
	for i := range t {
		t[i] = uint16(e.Unknown)
	}
	t[0] = uint16(e.Pad)
	for i := range len(e.Alphabet) {
		t[e.Alphabet[i]] = uint16(e.Base + i)
	}
	if e.Lower {
		for c := 'A'; c <= 'Z'; c++ {
			t[c] = t[c-'A'+'a']
		}
	}
	return t
}

// Coder is an Encoder made ready: safe for concurrent use, no allocation a name.
type Coder struct {
	table       [256]uint16
	window      int
	pad         uint16
	right, last bool
	reverse     bool
}

// Coder prepares e, which must be valid.
func (e *Encoder) Coder() *Coder {
	return &Coder{table: e.Table(), window: e.Window, pad: uint16(e.Pad), right: e.PadSide == Right, last: e.Keep == Last,
		reverse: e.Reverse}
}

// Window is the number of codes a name becomes.
func (c *Coder) Window() int { return c.window }

// Encode fills dst, [window], with name's codes and returns how many of them are characters rather than padding.
func (c *Coder) Encode(dst []uint16, name string) int {
	if len(name) > c.window {
		if c.last {
			name = name[len(name)-c.window:]
		} else {
			name = name[:c.window]
		}
	}
	at := 0
	if !c.right {
		at = c.window - len(name)
		fill(dst[:at], c.pad)
	}
	end := at + len(name)
	for i := range len(name) {
		dst[at+i] = c.table[name[i]]
	}
	if c.reverse {
		slices.Reverse(dst[at:end])
	}
	fill(dst[end:c.window], c.pad)
	return len(name)
}

func fill(dst []uint16, v uint16) {
	for i := range dst {
		dst[i] = v
	}
}

// encoders holds the encoders that a user can name.
var encoders = registry.New[Encoder]("encoder")

// Encoders lists the names of the known encoders in alphabetical order.
func Encoders() []string { return encoders.Names() }

// NamedEncoder returns an encoder by name.
func NamedEncoder(name string) (Encoder, error) { return encoders.Lookup(name) }

func init() {
	encoders.Register("names", nameEncoder())
	encoders.Register("degas", degasEncoder())
	encoders.Register("gta1", gta1Encoder())
	encoders.Register("mlbridge", mlbridgeEncoder())
	// deep-lookup's en2vec: the last 256 characters, written last to first from the left. Code 0 is padding and every
	// character outside the alphabet.
	encoders.Register("en2vec",
		Encoder{Alphabet: pythonPrintable, Base: 1, Window: 256, PadSide: Right, Keep: Last, Reverse: true})
}

// pythonPrintable is Python's string.printable.
const pythonPrintable = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" +
	"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \t\n\r\x0b\x0c"
