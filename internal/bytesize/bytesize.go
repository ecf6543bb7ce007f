// Package bytesize reads sizes as people write them.
package bytesize

import (
	"fmt"
	"strconv"
	"strings"
)

// Parse reads a number of bytes: 1048576, 512MiB, 2GiB, 2G. K, M, G and T are powers of 1,024. The result is above 0.
func Parse(s string) (int64, error) {
	number := strings.TrimRight(s, "KMGTiB")
	prefix := strings.TrimSuffix(strings.TrimSuffix(s[len(number):], "B"), "i")
	unit := map[string]float64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}[prefix]
	n, err := strconv.ParseFloat(number, 64)
	if n *= unit; err != nil || !(n > 0 && n <= 1<<62) {
		return 0, fmt.Errorf("%q is no size such as 512MiB or 2GiB", s)
	}
	return int64(n), nil
}
