package synth

import (
	"crypto/rc4"
	"encoding/binary"
	"fmt"
)

var zloaderKeys = []string{
	"q23Cud3xsNf3", "41997b4a729e1a0175208305170752dd", "kZieCw23gffpe43Sd", "Ts72YjsjO5TghE6m",
}

func init() {
	registerDGA("zloader", zloader,
		"Zloader: twenty letters under .com, 32 names a day. Seed n is the n-th known RC4 key.",
		"https://johannesbader.ch/blog/the-dga-of-zloader/")
}

// zloader follows Bader's "The DGA of Zloader": the date's Unix time, encrypted with the configuration's
// key, starts a sum over the letters.
func zloader(p Params) ([]string, error) {
	p = p.or(0, day(2020, 5, 1), 32)
	cipher, err := rc4.NewCipher([]byte(zloaderKeys[p.Seed%uint64(len(zloaderKeys))]))
	if err != nil {
		return nil, fmt.Errorf("synth: zloader: %w", err)
	}
	midnight := daysSinceEpoch(p.Date) * 24 * 3600
	block := binary.LittleEndian.AppendUint32(nil, uint32(midnight))
	cipher.XORKeyStream(block, block)
	seed := binary.LittleEndian.Uint32(block)
	r := seed
	return collect(p.Count, func(int) string {
		var name [20]byte
		for i := range name {
			name[i] = lower[r%25]
			r = seed ^ (r + uint32(name[i]))
		}
		return string(name[:]) + ".com"
	}), nil
}
