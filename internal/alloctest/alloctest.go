// Package alloctest measures what code allocates, for tests that hold readers of foreign files to a bound.
package alloctest

import "runtime"

// Bytes is what f allocates, in bytes, freed or not. Other goroutines count too.
func Bytes(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
