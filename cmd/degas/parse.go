package main

import (
	"fmt"
	"strconv"
	"strings"
)

// parseBytes reads a size: 1048576, 512MiB, 2GiB, 2G.
func parseBytes(s string) (int64, error) {
	number := strings.TrimRight(s, "KMGTiB")
	prefix := strings.TrimSuffix(strings.TrimSuffix(s[len(number):], "B"), "i")
	unit := map[string]float64{"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}[prefix]
	n, err := strconv.ParseFloat(number, 64)
	if n *= unit; err != nil || !(n > 0 && n <= 1<<62) {
		return 0, fmt.Errorf("%q is no size such as 512MiB or 2GiB", s)
	}
	return int64(n), nil
}

// parseShare reads a share: 0.01 or 1%.
func parseShare(s string) (float64, error) {
	number, percent := strings.CutSuffix(s, "%")
	x, err := strconv.ParseFloat(number, 64)
	if percent {
		x /= 100
	}
	if err != nil || !(x >= 0 && x <= 1) {
		return 0, fmt.Errorf("%q is no share such as 1%% or 0.01", s)
	}
	return x, nil
}
