package model

import "github.com/degas-dns/degas/internal/registry"

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
	encoders.Register("en2vec", Encoder{
		Alphabet: pythonPrintable,
		Base:     1,
		Window:   256,
		PadSide:  Right,
		Keep:     Last,
		Reverse:  true,
	})
}

// pythonPrintable is Python's string.printable.
const pythonPrintable = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ" +
	"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \t\n\r\x0b\x0c"
