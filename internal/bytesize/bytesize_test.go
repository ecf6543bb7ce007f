package bytesize

import "testing"

func TestParse(t *testing.T) {
	for text, want := range map[string]int64{"1048576": 1 << 20, "512MiB": 512 << 20, "2GiB": 2 << 30, "2G": 2 << 30,
		"1.5KB": 1536, "3T": 3 << 40, "0": 0, "": 0, "MiB": 0, "-1GiB": 0, "1XiB": 0, "1iBM": 0, "1e30": 0, "NaN": 0} {
		if got, err := Parse(text); got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
}
